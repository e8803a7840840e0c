----------------------------- MODULE Replication -----------------------------
(***************************************************************************)
(* dax_ppdb copies the replica chunks of the APDB, each once.              *)
(*                                                                         *)
(* A batch notes in its plan the chunk that its rows go to: the time of    *)
(* its planning.  Its rows lie there when it is applied.                   *)
(***************************************************************************)
EXTENDS Naturals, FiniteSets, TLC

CONSTANTS
    Batches,
    MaxChunk, \* how many chunks there are
    LeftOut   \* the rules that are left out

VARIABLES
    state,  \* LWT: the state of each batch
    chunk,  \* the chunk that its plan names
    now,    \* the chunk of now
    copied, \* the chunks that are copied, up to this one
    ppdb    \* the batches that the PPDB has

vars == <<state, chunk, now, copied, ppdb>>

Rule(name) == name \notin LeftOut
Symmetry == Permutations(Batches)

Init ==
    /\ state = [b \in Batches |-> "none"]
    /\ chunk = [b \in Batches |-> 0]
    /\ now = 1
    /\ copied = 0
    /\ ppdb = {}

Plan(b) ==
    /\ state[b] = "none"
    /\ state' = [state EXCEPT ![b] = "preparing"]
    /\ chunk' = [chunk EXCEPT ![b] = now]
    /\ UNCHANGED <<now, copied, ppdb>>

Commit(b) ==
    /\ state[b] = "preparing"
    /\ state' = [state EXCEPT ![b] = "committed"]
    /\ UNCHANGED <<chunk, now, copied, ppdb>>

Abort(b) ==
    /\ state[b] = "preparing"
    /\ state' = [state EXCEPT ![b] = "none"]
    /\ UNCHANGED <<chunk, now, copied, ppdb>>

Apply(b) ==
    /\ state[b] = "committed"
    /\ state' = [state EXCEPT ![b] = "applied"]
    /\ UNCHANGED <<chunk, now, copied, ppdb>>

Tick ==
    /\ now < MaxChunk
    /\ now' = now + 1
    /\ UNCHANGED <<state, chunk, copied, ppdb>>

Waits(b) ==
    \/ state[b] = "committed" /\ Rule("HoldsBehindUnapplied")
    \/ state[b] = "preparing" /\ Rule("HoldsBehindPreparing")

\* Copy the next chunk, when its time is over and nobody will write into it.
Copy ==
    /\ copied + 1 < now
    /\ \A b \in Batches : Waits(b) => chunk[b] > copied + 1
    /\ copied' = copied + 1
    /\ ppdb' = ppdb \cup {b \in Batches : state[b] = "applied" /\ chunk[b] = copied + 1}
    /\ UNCHANGED <<state, chunk, now>>

Next == Tick \/ Copy \/ \E b \in Batches : Plan(b) \/ Commit(b) \/ Abort(b) \/ Apply(b)

Spec == Init /\ [][Next]_vars

-----------------------------------------------------------------------------

TypeOK ==
    /\ state \in [Batches -> {"none", "preparing", "committed", "applied"}]
    /\ copied < now
    /\ ppdb \subseteq Batches

\* A batch whose chunk has been copied is in the PPDB.
NoLostBatch == \A b \in Batches : state[b] = "applied" /\ chunk[b] <= copied => b \in ppdb

=============================================================================
