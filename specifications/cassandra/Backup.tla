------------------------------- MODULE Backup -------------------------------
(***************************************************************************)
(* Snapshots are taken of one table and one node after another, while      *)
(* batches go on.  So a snapshot tears batches.                            *)
(*                                                                         *)
(* Two cells lie on two nodes.  A backup copies the rows of cell 1, those  *)
(* of cell 2, the intents and the plans, each at its own moment.  After a  *)
(* disaster the backup is restored, the plans of all intents in it are     *)
(* applied again, and Kafka delivers what the intents do not know.         *)
(***************************************************************************)
EXTENDS Naturals, Sequences, FiniteSets, TLC

CONSTANTS
    MaxBatches, \* how many batches there are
    LeftOut     \* the rules that are left out

VARIABLES
    intent, \* the state of each batch: "none", "committed", "applied"
    plans,  \* the plans that are kept: the rows that they hold, or <<>> if there is none
    rows,   \* the row of each cell: the batches that it has seen, with the timestamp of the last
    backup, \* the parts that are copied so far
    restored

vars == <<intent, plans, rows, backup, restored>>

Rule(name) == name \notin LeftOut

Cells == {1, 2}
Batches == 1..MaxBatches
Parts == {"cell 1", "cell 2", "plans", "intents"}
CellPart(c) == IF c = 1 THEN "cell 1" ELSE "cell 2"
Empty == [ts |-> 0, history |-> <<>>]

Init ==
    /\ intent = [b \in Batches |-> "none"]
    /\ plans = [b \in Batches |-> <<>>]
    /\ rows = [c \in Cells |-> Empty]
    /\ backup = [p \in {} |-> 0]
    /\ restored = FALSE

-----------------------------------------------------------------------------

\* Batches come one after another, and each is applied before the next.
Commit(b) ==
    /\ intent[b] = "none"
    /\ \A other \in Batches : intent[other] # "committed"
    /\ intent' = [intent EXCEPT ![b] = "committed"]
    /\ plans' = [plans EXCEPT ![b] =
        [c \in Cells |-> [ts |-> rows[c].ts + 1, history |-> Append(rows[c].history, b)]]]
    /\ UNCHANGED <<rows, backup, restored>>

Write(b, c) ==
    /\ intent[b] = "committed"
    /\ plans[b] # <<>>
    /\ rows' = IF plans[b][c].ts >= rows[c].ts THEN [rows EXCEPT ![c] = plans[b][c]] ELSE rows
    /\ UNCHANGED <<intent, plans, backup, restored>>

MarkApplied(b) ==
    /\ intent[b] = "committed"
    /\ \A c \in Cells : plans[b] # <<>> /\ rows[c].ts >= plans[b][c].ts
    /\ intent' = [intent EXCEPT ![b] = "applied"]
    /\ UNCHANGED <<plans, rows, backup, restored>>

\* Plans are kept until a backup that began after them is whole: here, for ever.  Without the rule, until they are applied.
DropPlan(b) ==
    /\ ~restored
    /\ intent[b] = "applied"
    /\ ~Rule("PlansAreKept")
    /\ plans' = [plans EXCEPT ![b] = <<>>]
    /\ UNCHANGED <<intent, rows, backup, restored>>

\* One part of the backup: the rows first, then the intents, then the plans.
Copy(p) ==
    /\ ~restored
    /\ p \notin DOMAIN backup
    /\ Rule("IntentsAfterRows") /\ p = "intents" => {"cell 1", "cell 2"} \subseteq DOMAIN backup
    /\ Rule("PlansAfterIntents") /\ p = "plans" => "intents" \in DOMAIN backup
    /\ backup' = backup @@ (p :> CASE p = "plans" -> plans
                                   [] p = "intents" -> intent
                                   [] p = "cell 1" -> rows[1]
                                   [] p = "cell 2" -> rows[2])
    /\ UNCHANGED <<intent, plans, rows, restored>>

\* Every plan of the restored intents is applied again, in the order of timestamps; the later timestamp wins.
Replayed(c) ==
    LET known == {b \in Batches : backup["intents"][b] # "none" /\ backup["plans"][b] # <<>>}
        candidates == {backup["plans"][b][c] : b \in known} \cup {backup[CellPart(c)]}
    IN  CHOOSE row \in candidates : \A other \in candidates : row.ts >= other.ts

Restore ==
    /\ ~restored
    /\ DOMAIN backup = Parts
    /\ restored' = TRUE
    /\ intent' = [b \in Batches |-> IF backup["intents"][b] = "none" THEN "none" ELSE "applied"]
    /\ plans' = backup["plans"]
    /\ rows' = [c \in Cells |-> Replayed(c)]
    /\ UNCHANGED backup

Next ==
    \/ \E b \in Batches : Commit(b) \/ MarkApplied(b) \/ DropPlan(b) \/ \E c \in Cells : Write(b, c)
    \/ \E p \in Parts : Copy(p)
    \/ Restore

Spec == Init /\ [][Next]_vars

-----------------------------------------------------------------------------

Elements(history) == {history[i] : i \in 1..Len(history)}

TypeOK ==
    /\ intent \in [Batches -> {"none", "committed", "applied"}]
    /\ DOMAIN backup \subseteq Parts
    /\ \A c \in Cells : Elements(rows[c].history) \subseteq Batches

NoLostBatch == \A b \in Batches : intent[b] = "applied" => \A c \in Cells : b \in Elements(rows[c].history)

NoneTwice == \A c \in Cells : Cardinality(Elements(rows[c].history)) = Len(rows[c].history)

\* What the rows show is known to the intents, so that Kafka's second delivery changes nothing.
OnlyCommitted == \A c \in Cells : \A b \in Elements(rows[c].history) : intent[b] # "none"

=============================================================================
