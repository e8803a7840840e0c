------------------------------ MODULE Tombstones ------------------------------
(***************************************************************************)
(* A deleted row and the time after which its tombstone is dropped.        *)
(*                                                                         *)
(* A batch deletes a row (an object that moved away).  Gc ticks later each *)
(* replica may drop the tombstone, and with it what it covers there.  From *)
(* then on an older insert would be seen again: one that an applier had    *)
(* not finished, or one on a replica that never heard of the delete.       *)
(***************************************************************************)
EXTENDS Naturals, FiniteSets, TLC

CONSTANTS
    Replicas,
    Gc,      \* gc_grace in ticks
    MaxTime, \* how long the story lasts
    LeftOut  \* the rules that are left out

VARIABLES
    live,    \* the replicas with the insert, which is older than the delete
    tomb,    \* the replicas with the tombstone
    deleted, \* when the delete was acknowledged, or Never
    away,    \* since when each replica is away, or Never
    zombie,  \* an applier of the insert: since when it applies, and whether it has yet to write
    now

vars == <<live, tomb, deleted, away, zombie, now>>

Rule(name) == name \notin LeftOut
Symmetry == Permutations(Replicas)
Never == MaxTime + 1
Up == {r \in Replicas : away[r] = Never}
IsQuorum(q) == 2 * Cardinality(q) > Cardinality(Replicas)

Init ==
    /\ live \in {q \in SUBSET Replicas : IsQuorum(q)}
    /\ tomb = {}
    /\ deleted = Never
    /\ away = [r \in Replicas |-> Never]
    /\ zombie = [since |-> 0, writes |-> TRUE]
    /\ now = 0

-----------------------------------------------------------------------------

\* The delete reaches a replica: its first way, a hint, or a repair.
Delete(r) ==
    /\ r \in Up
    /\ deleted = Never \/ (now < deleted + Gc)
    /\ tomb' = tomb \cup {r}
    /\ deleted' = IF deleted = Never /\ IsQuorum(tomb \cup {r}) THEN now ELSE deleted
    /\ UNCHANGED <<live, away, zombie, now>>

\* Compaction drops a tombstone that is old enough, and what it covers on this replica.
Drop(r) ==
    /\ r \in tomb \cap Up
    /\ deleted # Never /\ now >= deleted + Gc
    /\ tomb' = tomb \ {r}
    /\ live' = live \ {r}
    /\ UNCHANGED <<deleted, away, zombie, now>>

\* An applier that was suspended wakes and writes the older insert.  With the rule it looks at its monotonic clock first;
\* the write may take one tick more.
ZombieWrites(q) ==
    /\ zombie.writes
    /\ Rule("ApplyingStops") => now < zombie.since + Gc
    /\ q \subseteq Up
    /\ live' = live \cup q
    /\ zombie' = [zombie EXCEPT !.writes = FALSE]
    /\ UNCHANGED <<tomb, deleted, away, now>>

GoAway(r) ==
    /\ Up = Replicas
    /\ away' = [away EXCEPT ![r] = now]
    /\ UNCHANGED <<live, tomb, deleted, zombie, now>>

\* A replica comes back; with the rule one that was away too long is rebuilt from the others.
ComeBack(r) ==
    /\ away[r] # Never
    /\ away' = [away EXCEPT ![r] = Never]
    /\ IF Rule("NodeIsRebuilt") /\ now >= away[r] + Gc
       THEN LET others == Replicas \ {r} IN
            /\ live' = (live \ {r}) \cup (IF live \cap others # {} THEN {r} ELSE {})
            /\ tomb' = (tomb \ {r}) \cup (IF tomb \cap others # {} THEN {r} ELSE {})
       ELSE UNCHANGED <<live, tomb>>
    /\ UNCHANGED <<deleted, zombie, now>>

\* The repair rule: each replica that is not away has the tombstone before the first may be dropped.  One that is back
\* after less than gc_grace is repaired in time too.
Repaired == \A r \in Replicas : r \in tomb \/ (away[r] # Never /\ now + 1 >= away[r] + Gc)

Tick ==
    /\ now < MaxTime
    /\ Rule("RepairWithinGrace") /\ deleted # Never /\ now + 1 = deleted + Gc => Repaired
    /\ now' = now + 1
    /\ UNCHANGED <<live, tomb, deleted, away, zombie>>

Next ==
    \/ Tick
    \/ \E r \in Replicas : Delete(r) \/ Drop(r) \/ GoAway(r) \/ ComeBack(r)
    \/ \E q \in SUBSET Replicas : ZombieWrites(q)

Spec == Init /\ [][Next]_vars

-----------------------------------------------------------------------------

TypeOK ==
    /\ live \subseteq Replicas /\ tomb \subseteq Replicas
    /\ now \in 0..MaxTime

\* Who reads at QUORUM after the delete was acknowledged does not see the row.
NothingResurrected ==
    deleted # Never => \A q \in SUBSET Up : IsQuorum(q) => (q \cap live = {} \/ q \cap tomb # {})

=============================================================================
