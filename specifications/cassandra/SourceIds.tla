------------------------------ MODULE SourceIds ------------------------------
(***************************************************************************)
(* One diaSourceId in two batches that share no cell and no lease.         *)
(*                                                                         *)
(* The row of DiaSourceToPartition is made by LWT and names the batch that *)
(* owns the id.  A batch that does not own an id leaves the source out, as *)
(* one that has been counted.  Aborted batches are tried again.            *)
(***************************************************************************)
EXTENDS Naturals, FiniteSets, TLC

CONSTANTS
    Batches, Nobody,
    MaxAborts, \* how many attempts are aborted
    LeftOut    \* the rules that are left out

VARIABLES
    attempt, \* LWT: the attempt of each batch
    state,   \* LWT: the state of each batch: "none", "preparing", "committed", "aborted"
    plans,   \* whether the attempt of a batch stores the source, as its plan says
    owner,   \* LWT: the batch and the attempt that own the id
    aborts

vars == <<attempt, state, plans, owner, aborts>>

Rule(name) == name \notin LeftOut
Symmetry == Permutations(Batches)

Init ==
    /\ attempt = [b \in Batches |-> 0]
    /\ state = [b \in Batches |-> "none"]
    /\ plans = [b \in Batches |-> "undecided"]
    /\ owner = [batch |-> Nobody, attempt |-> 0]
    /\ aborts = 0

Begin(b) ==
    /\ state[b] \in {"none", "aborted"}
    /\ state' = [state EXCEPT ![b] = "preparing"]
    /\ attempt' = [attempt EXCEPT ![b] = @ + 1]
    /\ plans' = [plans EXCEPT ![b] = "undecided"]
    /\ UNCHANGED <<owner, aborts>>

OwnerCannotCommit ==
    IF owner.batch = Nobody THEN TRUE
    ELSE attempt[owner.batch] # owner.attempt \/ state[owner.batch] = "aborted"

OwnerMayChange ==
    IF owner.batch = Nobody THEN TRUE
    ELSE \/ Rule("OwnerPasses") /\ OwnerCannotCommit
         \/ ~Rule("OwnerIsFenced") /\ state[owner.batch] = "preparing"

\* The batch asks whose the id is.  While the owner prepares it waits, or aborts the owner first.
Ask(b) ==
    /\ state[b] = "preparing"
    /\ plans[b] = "undecided"
    /\ IF ~Rule("OwnerByLWT")
       THEN plans' = [plans EXCEPT ![b] = "stores"] /\ UNCHANGED owner
       ELSE \/ /\ OwnerMayChange
               /\ owner' = [batch |-> b, attempt |-> attempt[b]]
               /\ plans' = [plans EXCEPT ![b] = "stores"]
            \/ /\ owner.batch \notin {Nobody, b}
               /\ IF ~Rule("OwnerPasses") /\ OwnerCannotCommit THEN TRUE ELSE state[owner.batch] = "committed"
               /\ plans' = [plans EXCEPT ![b] = "leaves out"]
               /\ UNCHANGED owner
            \/ /\ owner.batch = b
               /\ plans' = [plans EXCEPT ![b] = "stores"]
               /\ owner' = [batch |-> b, attempt |-> attempt[b]]
    /\ UNCHANGED <<attempt, state, aborts>>

Commit(b) ==
    /\ state[b] = "preparing"
    /\ plans[b] # "undecided"
    /\ state' = [state EXCEPT ![b] = "committed"]
    /\ UNCHANGED <<attempt, plans, owner, aborts>>

Abort(b) ==
    /\ state[b] = "preparing"
    /\ aborts < MaxAborts
    /\ aborts' = aborts + 1
    /\ state' = [state EXCEPT ![b] = "aborted"]
    /\ UNCHANGED <<attempt, plans, owner>>

Next == \E b \in Batches : Begin(b) \/ Ask(b) \/ Commit(b) \/ Abort(b)

Spec == Init /\ [][Next]_vars

-----------------------------------------------------------------------------

Stored == {b \in Batches : state[b] = "committed" /\ plans[b] = "stores"}

TypeOK ==
    /\ state \in [Batches -> {"none", "preparing", "committed", "aborted"}]
    /\ plans \in [Batches -> {"undecided", "stores", "leaves out"}]
    /\ owner.batch \in Batches \cup {Nobody}

NoneTwice == Cardinality(Stored) <= 1

\* Whoever leaves the source out does so because somebody has it.
NoLostSource == \A b \in Batches : state[b] = "committed" /\ plans[b] = "leaves out" => Stored # {}

=============================================================================
