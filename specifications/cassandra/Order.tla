-------------------------------- MODULE Order --------------------------------
(***************************************************************************)
(* In which order to take several leases, so that nobody waits for ever.   *)
(*                                                                         *)
(* Every daemon has one batch that needs all cells.  All daemons live and  *)
(* renew their intents, so patience (Patience.tla) ends no deadlock.       *)
(* Either leases are taken one after another in the order of the cells, or *)
(* side by side, which takes one round trip; then the older batch wins:    *)
(* it aborts the intent of a younger one that holds what it needs.         *)
(***************************************************************************)
EXTENDS Naturals, FiniteSets, TLC

CONSTANTS
    Daemons,    \* 1..n; the batch of a lower number is older, and stays so when it is tried again
    Cells,      \* 1..n
    SideBySide, \* whether leases are taken side by side
    LeftOut     \* the rules that are left out

VARIABLES
    holder,  \* LWT: the daemon that holds each cell
    aborted, \* LWT: the daemons whose intent was aborted; they have to begin again
    done     \* the daemons whose batch is committed

vars == <<holder, aborted, done>>

Rule(name) == name \notin LeftOut

Free == 0
Held(d) == {c \in Cells : holder[c] = d}

Init ==
    /\ holder = [c \in Cells |-> Free]
    /\ aborted = {}
    /\ done = {}

Take(d, c) ==
    /\ d \notin aborted \cup done
    /\ holder[c] = Free
    /\ ~SideBySide /\ Rule("SortedLeases") => \A e \in Cells : e < c => holder[e] = d
    /\ holder' = [holder EXCEPT ![c] = d]
    /\ UNCHANGED <<aborted, done>>

\* Abort the younger batch that holds what this one needs, and take its lease: as in Leases.tla.
Wound(d, c) ==
    /\ SideBySide /\ Rule("OlderWins")
    /\ d \notin aborted \cup done
    /\ holder[c] > d
    /\ aborted' = aborted \cup {holder[c]}
    /\ holder' = [holder EXCEPT ![c] = d]
    /\ UNCHANGED done

\* An aborted batch hands back its other leases, and is tried again as old as before.
Retry(d) ==
    /\ d \in aborted
    /\ aborted' = aborted \ {d}
    /\ holder' = [c \in Cells |-> IF holder[c] = d THEN Free ELSE holder[c]]
    /\ UNCHANGED done

Commit(d) ==
    /\ d \notin aborted \cup done
    /\ Held(d) = Cells
    /\ done' = done \cup {d}
    /\ holder' = [c \in Cells |-> Free]
    /\ UNCHANGED aborted

Act(d) == Retry(d) \/ Commit(d) \/ \E c \in Cells : Take(d, c) \/ Wound(d, c)

Next == \E d \in Daemons : Act(d)

Spec == Init /\ [][Next]_vars /\ \A d \in Daemons : WF_vars(Act(d))

-----------------------------------------------------------------------------

TypeOK ==
    /\ holder \in [Cells -> Daemons \cup {Free}]
    /\ aborted \cap done = {}

CommittedAtLast == <>(done = Daemons)

=============================================================================
