------------------------------- MODULE Groups -------------------------------
(***************************************************************************)
(* Micro-batches: one group intent lists its batches, claims and leases    *)
(* point to it, and one LWT commits all of it.                             *)
(*                                                                         *)
(* All batches touch one cell.  Its row is the history of the batches that *)
(* it has seen.  Each daemon is given all batches (Kafka may deliver them  *)
(* to both after a rebalance), and makes a new group for each attempt.     *)
(***************************************************************************)
EXTENDS Naturals, Sequences, FiniteSets, TLC

CONSTANTS
    Daemons,   \* the writers
    Batches,   \* 1..n: claims are taken in this order
    MaxGroups, \* how many attempts there are
    Patient,   \* whether a group is only aborted if its daemon is dead
    MaxDeaths, \* how many daemons die
    LeftOut    \* the rules that are left out

VARIABLES
    group,  \* LWT: the state of each group and the batches that it lists
    claim,  \* LWT: the group that each batch belongs to
    lease,  \* LWT: the group that holds the cell
    row,    \* the batches that the cell has seen, in order
    daemon, \* what each daemon is at
    dead    \* the daemons that are dead

vars == <<group, claim, lease, row, daemon, dead>>

Rule(name) == name \notin LeftOut

None == 0
Groups == 1..Len(group)
Idle == [at |-> "idle", group |-> None]
Symmetry == Permutations(Daemons)

\* Ascending sequence of a set of numbers.
RECURSIVE Sorted(_)
Sorted(set) ==
    IF set = {} THEN <<>>
    ELSE LET least == CHOOSE x \in set : \A y \in set : x <= y IN <<least>> \o Sorted(set \ {least})

Init ==
    /\ group = <<>>
    /\ claim = [b \in Batches |-> None]
    /\ lease = None
    /\ row = <<>>
    /\ daemon = [d \in Daemons |-> Idle]
    /\ dead = {}

StateOf(g) == group[g].state
Finished(b) == IF claim[b] = None THEN FALSE ELSE b \in group[claim[b]].committed

\* Whether what another group has (a claim or the lease) may be taken from it.
MayPass(g) == IF g = None THEN TRUE ELSE StateOf(g) = "aborted"

-----------------------------------------------------------------------------

Begin(d) ==
    /\ d \notin dead
    /\ daemon[d].at = "idle"
    /\ Len(group) < MaxGroups
    /\ \E b \in Batches : ~Finished(b)
    /\ group' = Append(group, [state |-> "preparing", by |-> d, batches |-> {}, committed |-> {}, plan |-> <<>>])
    /\ daemon' = [daemon EXCEPT ![d] = [at |-> "claim", group |-> Len(group) + 1, left |-> {b \in Batches : ~Finished(b)}]]
    /\ UNCHANGED <<claim, lease, row, dead>>

\* The batches that the daemon may claim next.
Candidates(me) ==
    IF Rule("SortedClaims") THEN {b \in me.left : \A other \in me.left : b <= other} ELSE me.left

Claim(d) ==
    LET me == daemon[d] IN
    /\ d \notin dead
    /\ me.at = "claim"
    /\ \E b \in Candidates(me) :
        \/ /\ MayPass(claim[b]) \/ (~Rule("ClaimPassesWhenAborted") /\ ~Finished(b))
           /\ StateOf(me.group) = "preparing"
           /\ claim' = [claim EXCEPT ![b] = me.group]
           /\ group' = [group EXCEPT ![me.group].batches = @ \cup {b}]
           /\ daemon' = [daemon EXCEPT ![d].left = @ \ {b}]
        \* Another group has it done meanwhile.
        \/ /\ Finished(b)
           /\ daemon' = [daemon EXCEPT ![d].left = @ \ {b}]
           /\ UNCHANGED <<claim, group>>
    /\ UNCHANGED <<lease, row, dead>>

Lease(d) ==
    LET me == daemon[d] IN
    /\ d \notin dead
    /\ me.at = "claim"
    /\ lease # me.group
    /\ me.left = {} \/ ~Rule("ClaimsBeforeLeases")
    /\ IF lease = None THEN TRUE ELSE StateOf(lease) \in {"aborted", "applied"}
    /\ lease' = me.group
    /\ UNCHANGED <<group, claim, row, daemon, dead>>

Plan(d) ==
    LET me == daemon[d] IN
    /\ d \notin dead
    /\ me.at = "claim"
    /\ me.left = {}
    /\ lease = me.group
    /\ group' = [group EXCEPT ![me.group].plan = row \o Sorted(group[me.group].batches)]
    /\ daemon' = [daemon EXCEPT ![d].at = "commit"]
    /\ UNCHANGED <<claim, lease, row, dead>>

\* One LWT commits all batches of the group; without this rule, one LWT a batch.
Commit(d) ==
    LET me == daemon[d]
        of == group[me.group]
        next == IF Rule("OneCommit") THEN of.batches
                ELSE {b \in of.batches \ of.committed : \A other \in of.batches \ of.committed : b <= other}
    IN  /\ d \notin dead
        /\ me.at = "commit"
        /\ IF of.state = "preparing" \/ (~Rule("OneCommit") /\ of.state = "committed")
           THEN group' = [group EXCEPT ![me.group].state = "committed", ![me.group].committed = @ \cup next]
           ELSE UNCHANGED group
        /\ daemon' = [daemon EXCEPT ![d] = IF of.state = "aborted" \/ of.committed \cup next = of.batches THEN Idle ELSE me]
        /\ UNCHANGED <<claim, lease, row, dead>>

\* The daemon finds its group aborted and begins anew.
GiveUp(d) ==
    /\ d \notin dead
    /\ daemon[d].at # "idle"
    /\ StateOf(daemon[d].group) = "aborted"
    /\ daemon' = [daemon EXCEPT ![d] = Idle]
    /\ UNCHANGED <<group, claim, lease, row, dead>>

\* Rows are written once, by anyone: Leases.tla has the many times.
Apply(g) ==
    /\ StateOf(g) = "committed"
    /\ row' = group[g].plan
    /\ group' = [group EXCEPT ![g].state = "applied"]
    /\ UNCHANGED <<claim, lease, daemon, dead>>

\* Somebody waits for a claim or the lease of a group that is being prepared.
Abort(g) ==
    /\ StateOf(g) = "preparing"
    /\ Patient => group[g].by \in dead
    /\ lease = g \/ \E b \in Batches : claim[b] = g
    /\ group' = [group EXCEPT ![g].state = "aborted"]
    /\ UNCHANGED <<claim, lease, row, daemon, dead>>

Die(d) ==
    /\ d \notin dead
    /\ Cardinality(dead) < MaxDeaths
    /\ dead' = dead \cup {d}
    /\ UNCHANGED <<group, claim, lease, row, daemon>>

Act(d) == Begin(d) \/ Claim(d) \/ Lease(d) \/ Plan(d) \/ Commit(d) \/ GiveUp(d)

Next ==
    \/ \E d \in Daemons : Act(d) \/ Die(d)
    \/ \E g \in Groups : Apply(g) \/ Abort(g)

\* A daemon that is alive goes on, and so do those who wait for a dead one.
Fairness ==
    /\ \A d \in Daemons : WF_vars(Act(d))
    /\ WF_vars(\E g \in Groups : Apply(g) \/ Abort(g))

Spec == Init /\ [][Next]_vars /\ Fairness

-----------------------------------------------------------------------------

Seen == {row[i] : i \in 1..Len(row)}

TypeOK ==
    /\ \A g \in Groups : /\ StateOf(g) \in {"preparing", "committed", "applied", "aborted"}
                         /\ group[g].committed \subseteq group[g].batches
                         /\ group[g].batches \subseteq Batches
    /\ \A b \in Batches : claim[b] \in Groups \cup {None}
    /\ lease \in Groups \cup {None}
    /\ Seen \subseteq Batches

NoneTwice == Cardinality(Seen) = Len(row)

NoLostBatch == \A g \in Groups : StateOf(g) = "applied" => group[g].committed \subseteq Seen

\* The row shows no batch that is not committed.
OnlyCommitted == \A b \in Seen : \E g \in Groups : b \in group[g].committed

AllCommittedAtLast == <>(\A b \in Batches : Finished(b))

=============================================================================
