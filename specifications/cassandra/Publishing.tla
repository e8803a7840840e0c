----------------------------- MODULE Publishing -----------------------------
(***************************************************************************)
(* The outputs of applied batches reach Kafka once each, and those of one  *)
(* cell in the order in which the batches changed it.                      *)
(*                                                                         *)
(* Batch b changes the cells CellsOf[b] and came from the input partition  *)
(* PartitionOf[b]; its number is the offset of its message.  Batches are   *)
(* committed and applied in any order: that is Leases.tla.  A Kafka        *)
(* transaction appends the outputs and commits the input offset with a     *)
(* mark that names the batch; the broker refuses it when the partition has *)
(* gone to another owner.  Only messages from the offset on are delivered, *)
(* and a batch without a message is never looked at again.                 *)
(***************************************************************************)
EXTENDS Naturals, Sequences, FiniteSets, TLC

CONSTANTS
    Daemons,
    Batches, Cells, Partitions,
    MaxRebalances, \* how often a partition goes to another daemon
    MaxCrashes,    \* how often a daemon forgets what it was at
    KafkaIsThere,  \* whether Kafka does anything
    LeftOut        \* the rules that are left out

VARIABLES
    state,      \* LWT: the state of each intent: "none", "applied", "published"
    before,     \* in the plan: the batches that must be published before this one
    last,       \* LWT: the last batch of each cell
    order,      \* the batches that changed each cell, in order
    owner,      \* the owner of each partition
    generation, \* how often the partition has changed hands
    offset,     \* the committed offset of each partition
    mark,       \* the batch that the last transaction of the partition has published
    outputs,    \* what a subscriber sees
    daemon,     \* what each daemon is at
    crashes

vars == <<state, before, last, order, owner, generation, offset, mark, outputs, daemon, crashes>>

Rule(name) == name \notin LeftOut

\* Three batches: the second follows the first in one cell and comes before the third in the other.
CellsOf == <<{1}, {1, 2}, {2}>>
PartitionOf == <<1, 2, 1>>
\* The first two were committed by one group intent.
GroupOf == <<1, 1, 2>>

None == 0
Idle == [at |-> "idle"]
Published(b) == state[b] = "published"

Init ==
    /\ state = [b \in Batches |-> "none"]
    /\ before = [b \in Batches |-> {}]
    /\ last = [c \in Cells |-> None]
    /\ order = [c \in Cells |-> <<>>]
    /\ owner \in [Partitions -> Daemons]
    /\ generation = [p \in Partitions |-> 0]
    /\ offset = [p \in Partitions |-> 1]
    /\ mark = [p \in Partitions |-> None]
    /\ outputs = <<>>
    /\ daemon = [d \in Daemons |-> Idle]
    /\ crashes = 0

\* A batch goes through the database.  It notes the unpublished batches that it has found in its leases.
Store(b) ==
    LET found == {last[c] : c \in CellsOf[b]} \ {None}
        unpublished == {other \in found : ~Published(other)}
    IN  /\ state[b] = "none"
        /\ b >= offset[PartitionOf[b]]
        /\ Rule("KafkaStallsNothing") \/ unpublished = {}
        /\ state' = [state EXCEPT ![b] = "applied"]
        /\ before' = [before EXCEPT ![b] = IF Rule("LeaseCarriesLast") THEN unpublished ELSE {}]
        /\ last' = [c \in Cells |-> IF c \in CellsOf[b] THEN b ELSE last[c]]
        /\ order' = [c \in Cells |-> IF c \in CellsOf[b] THEN Append(order[c], b) ELSE order[c]]
        /\ UNCHANGED <<owner, generation, offset, mark, outputs, daemon, crashes>>

-----------------------------------------------------------------------------

Ready(b) == Rule("PredecessorFirst") => \A other \in before[b] : Published(other)

\* A daemon turns to an applied batch of a partition of its own.  It has settled what the partition's mark names.
\* Without the rule of the queue, it turns to any, and waits until the batch is ready.
Turn(d, b) ==
    LET p == PartitionOf[b] IN
    /\ daemon[d].at = "idle"
    /\ state[b] = "applied"
    /\ b >= offset[p]
    /\ owner[p] = d \/ ~Rule("OwnerPublishes")
    /\ Rule("MarkIsRead") => mark[p] # b
    /\ Rule("SettleFirst") /\ mark[p] # None => mark[p] = b \/ Published(mark[p])
    /\ Rule("QueueDoesNotBlock") => Ready(b)
    /\ IF Rule("PublishedAfterKafka") THEN UNCHANGED state ELSE state' = [state EXCEPT ![b] = "published"]
    /\ daemon' = [daemon EXCEPT ![d] = [at |-> "send", batch |-> b, generation |-> generation[p]]]
    /\ UNCHANGED <<before, last, order, owner, generation, offset, mark, outputs, crashes>>

\* The first message of the partition whose batch is not known to be published, once this one is.
FirstUnpublished(p, b) ==
    LET waiting == {other \in Batches : PartitionOf[other] = p /\ other # b /\ ~Published(other)} IN
    IF waiting = {} THEN Cardinality(Batches) + 1 ELSE CHOOSE first \in waiting : \A other \in waiting : first <= other

\* The Kafka transaction.  The broker compares the generation; without an owner's offset in it there is nothing to compare.
Send(d) ==
    LET me == daemon[d]
        p == PartitionOf[me.batch]
    IN  /\ KafkaIsThere
        /\ me.at = "send"
        /\ Ready(me.batch)
        /\ IF Rule("OwnerPublishes") => owner[p] = d /\ generation[p] = me.generation
           THEN /\ outputs' = Append(outputs, me.batch)
                /\ mark' = [mark EXCEPT ![p] = me.batch]
                /\ offset' = [offset EXCEPT ![p] =
                        IF Rule("OffsetStaysBehind") THEN FirstUnpublished(p, me.batch) ELSE me.batch + 1]
                /\ daemon' = [daemon EXCEPT ![d].at = "tell"]
           ELSE /\ daemon' = [daemon EXCEPT ![d] = Idle]
                /\ UNCHANGED <<outputs, mark, offset>>
        /\ UNCHANGED <<state, before, last, order, owner, generation, crashes>>

\* After the Kafka transaction the batch is published.  The others of its group may have another owner.
Tell(d) ==
    LET b == daemon[d].batch
        told == IF Rule("PublishedPerBatch") THEN {b} ELSE {other \in Batches : GroupOf[other] = GroupOf[b]}
    IN
    /\ daemon[d].at = "tell"
    /\ state' = [other \in Batches |-> IF other \in told /\ state[other] = "applied" THEN "published" ELSE state[other]]
    /\ daemon' = [daemon EXCEPT ![d] = Idle]
    /\ UNCHANGED <<before, last, order, owner, generation, offset, mark, outputs, crashes>>

\* The owner reads its partition's mark: what that names is published.
Settle(d, p) ==
    /\ KafkaIsThere
    /\ daemon[d].at = "idle"
    /\ owner[p] = d
    /\ Rule("MarkIsRead")
    /\ mark[p] # None
    /\ state[mark[p]] = "applied"
    /\ state' = [state EXCEPT ![mark[p]] = "published"]
    /\ UNCHANGED <<before, last, order, owner, generation, offset, mark, outputs, daemon, crashes>>

Crash(d) ==
    /\ daemon[d].at # "idle"
    /\ crashes < MaxCrashes
    /\ crashes' = crashes + 1
    /\ daemon' = [daemon EXCEPT ![d] = Idle]
    /\ UNCHANGED <<state, before, last, order, owner, generation, offset, mark, outputs>>

Rebalance(p, d) ==
    /\ generation[p] < MaxRebalances
    /\ owner[p] # d
    /\ owner' = [owner EXCEPT ![p] = d]
    /\ generation' = [generation EXCEPT ![p] = @ + 1]
    /\ UNCHANGED <<state, before, last, order, offset, mark, outputs, daemon, crashes>>

Act(d) ==
    \/ \E b \in Batches : Turn(d, b)
    \/ \E p \in Partitions : Settle(d, p)
    \/ Send(d) \/ Tell(d)

Next ==
    \/ \E b \in Batches : Store(b)
    \/ \E d \in Daemons : Act(d) \/ Crash(d) \/ \E p \in Partitions : Rebalance(p, d)

Fairness == WF_vars(\E b \in Batches : Store(b)) /\ \A d \in Daemons : WF_vars(Act(d))

Spec == Init /\ [][Next]_vars /\ Fairness

-----------------------------------------------------------------------------

Elements(sequence) == {sequence[i] : i \in 1..Len(sequence)}
Place(b, sequence) == CHOOSE i \in 1..Len(sequence) : sequence[i] = b

TypeOK ==
    /\ state \in [Batches -> {"none", "applied", "published"}]
    /\ owner \in [Partitions -> Daemons]
    /\ last \in [Cells -> Batches \cup {None}]
    /\ mark \in [Partitions -> Batches \cup {None}]
    /\ Elements(outputs) \subseteq Batches

OutputNoneTwice == Cardinality(Elements(outputs)) = Len(outputs)

\* What counts as published will be seen by subscribers: nobody looks at it again.
NoLostOutput == \A b \in Batches : Published(b) => b \in Elements(outputs)

\* The outputs of a cell come in the order in which the batches changed it, and none is passed over.
OutputsInOrder ==
    \A c \in Cells : \A i, j \in 1..Len(order[c]) :
        i < j /\ order[c][j] \in Elements(outputs) =>
            /\ order[c][i] \in Elements(outputs)
            /\ Place(order[c][i], outputs) < Place(order[c][j], outputs)

AllPublishedAtLast == <>(\A b \in Batches : Published(b))

DatabaseGoesOn == <>(\A b \in Batches : state[b] # "none")

=============================================================================
