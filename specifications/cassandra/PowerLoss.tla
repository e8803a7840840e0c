------------------------------ MODULE PowerLoss ------------------------------
(***************************************************************************)
(* What QUORUM promises when a node loses power.                           *)
(*                                                                         *)
(* One row on three replicas is written at growing timestamps.  A replica  *)
(* acknowledges a write, and syncs its commit log before that (group,      *)
(* batch) or at some later time (periodic).                                *)
(***************************************************************************)
EXTENDS Naturals, FiniteSets, TLC

CONSTANTS
    Replicas,
    MaxTs,     \* how many writes there are
    MaxLosses, \* how often a node loses power
    LeftOut    \* the rules that are left out

VARIABLES
    memory, \* the last timestamp that each replica shows
    disk,   \* the last that it has synced
    sent,   \* the writes sent so far
    acked,  \* the last that was acknowledged to its writer
    losses

vars == <<memory, disk, sent, acked, losses>>

Rule(name) == name \notin LeftOut
Symmetry == Permutations(Replicas)

Quorums == IF Rule("Quorum") THEN {q \in SUBSET Replicas : 2 * Cardinality(q) > Cardinality(Replicas)}
           ELSE {q \in SUBSET Replicas : Cardinality(q) = 1}

Init ==
    /\ memory = [r \in Replicas |-> 0]
    /\ disk = [r \in Replicas |-> 0]
    /\ sent = 0
    /\ acked = 0
    /\ losses = 0

Send ==
    /\ sent < MaxTs
    /\ sent' = sent + 1
    /\ UNCHANGED <<memory, disk, acked, losses>>

Arrive(r, ts) ==
    /\ ts <= sent
    /\ ts > memory[r]
    /\ memory' = [memory EXCEPT ![r] = ts]
    /\ disk' = IF Rule("SyncBeforeAcknowledging") THEN [disk EXCEPT ![r] = ts] ELSE disk
    /\ UNCHANGED <<sent, acked, losses>>

Sync(r) ==
    /\ disk' = [disk EXCEPT ![r] = memory[r]]
    /\ UNCHANGED <<memory, sent, acked, losses>>

\* Every replica of some quorum shows it.
Acknowledge ==
    /\ \E q \in Quorums : \A r \in q : memory[r] >= sent
    /\ acked' = sent
    /\ UNCHANGED <<memory, disk, sent, losses>>

LosePower(r) ==
    /\ losses < MaxLosses
    /\ losses' = losses + 1
    /\ memory' = [memory EXCEPT ![r] = disk[r]]
    /\ UNCHANGED <<disk, sent, acked>>

Next ==
    \/ Send \/ Acknowledge
    \/ \E r \in Replicas : Sync(r) \/ LosePower(r) \/ \E ts \in 1..MaxTs : Arrive(r, ts)

Spec == Init /\ [][Next]_vars

-----------------------------------------------------------------------------

TypeOK ==
    /\ memory \in [Replicas -> 0..MaxTs] /\ disk \in [Replicas -> 0..MaxTs]
    /\ \A r \in Replicas : disk[r] <= memory[r]
    /\ acked <= sent

\* Whoever reads at QUORUM sees what was acknowledged.
NoLostWrite == \A q \in Quorums : \E r \in q : memory[r] >= acked

=============================================================================
