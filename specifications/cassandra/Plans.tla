-------------------------------- MODULE Plans --------------------------------
(***************************************************************************)
(* The plan of one batch: written in chunks before the commit, applied     *)
(* after it, by anyone, any number of times.                               *)
(*                                                                         *)
(* Several attempts at the batch write plans, one after another, and       *)
(* chunks of a dead attempt may arrive late.  Chunk 1 holds the row of an  *)
(* object that lives already; chunk 2 holds a row for replication.  In the *)
(* batch (a group of detectors) the object moved away and came back, so    *)
(* its net effect is an insert.  Each attempt decides something else, and  *)
(* the object shows which one it is from.                                  *)
(***************************************************************************)
EXTENDS Naturals, FiniteSets, TLC

CONSTANTS
    Attempts,  \* 1..n
    MaxDamage, \* how many chunks the database loses
    LeftOut    \* the rules that are left out

VARIABLES
    state,   \* LWT: the state of the intent
    token,   \* LWT: the attempt that the intent belongs to
    asked,   \* the chunks that each attempt has sent
    acked,   \* those that have arrived at QUORUM
    chunks,  \* what lies in the table of plans: the attempt that each chunk is from
    done,    \* the operations that appliers have had acknowledged
    object,  \* the object's row: the timestamps of its columns and of its deletion, and its columns
    replica, \* the rows for replication: the subchunk and the attempt
    damage   \* how many chunks the database has lost

vars == <<state, token, asked, acked, chunks, done, object, replica, damage>>

Rule(name) == name \notin LeftOut

Chunks == {1, 2}
Missing == 0
Old == 1    \* the timestamp of what is overwritten
New == 2    \* the timestamp of the batch
Key(attempt, chunk) == <<IF Rule("PlanHasToken") THEN attempt ELSE 0, chunk>>

Operations == {"insert", "replica"} \cup (IF Rule("KeyOnce") THEN {} ELSE {"delete"})
ChunkOf(operation) == IF operation = "replica" THEN 2 ELSE 1
Subchunks == IF Rule("KeysFromPlan") THEN {1} ELSE {1, 2}

Init ==
    /\ state = "preparing"
    /\ token = 1
    /\ asked = [a \in Attempts |-> {}]
    /\ acked = [a \in Attempts |-> {}]
    /\ chunks = [key \in {Key(a, c) : a \in Attempts, c \in Chunks} |-> Missing]
    /\ done = {}
    /\ object = [deleted |-> 0, ts |-> Old, from |-> 0, optional |-> "old"]
    /\ replica = {}
    /\ damage = 0

-----------------------------------------------------------------------------

\* Another daemon takes the batch over; what the attempt before sends may arrive yet.
Retry ==
    /\ state = "preparing"
    /\ token + 1 \in Attempts
    /\ token' = token + 1
    /\ UNCHANGED <<state, asked, acked, chunks, done, object, replica, damage>>

\* An attempt writes its plan.  It does not notice at once that it has lost the batch.
Ask(a, c) ==
    /\ a <= token
    /\ c \notin asked[a]
    /\ asked' = [asked EXCEPT ![a] = @ \cup {c}]
    /\ UNCHANGED <<state, token, acked, chunks, done, object, replica, damage>>

Arrive(a, c) ==
    /\ c \in asked[a] \ acked[a]
    /\ acked' = [acked EXCEPT ![a] = @ \cup {c}]
    /\ chunks' = [chunks EXCEPT ![Key(a, c)] = a]
    /\ UNCHANGED <<state, token, asked, done, object, replica, damage>>

Commit ==
    /\ state = "preparing"
    /\ acked[token] = Chunks \/ ~Rule("PlanBeforeCommit")
    /\ state' = "committed"
    /\ UNCHANGED <<token, asked, acked, chunks, done, object, replica, damage>>

\* The database loses a chunk that it had acknowledged: see PowerLoss.tla.
Damage(key) ==
    /\ damage < MaxDamage
    /\ chunks[key] # Missing
    /\ chunks' = [chunks EXCEPT ![key] = Missing]
    /\ damage' = damage + 1
    /\ UNCHANGED <<state, token, asked, acked, done, object, replica>>

\* The committing LWT says how many chunks there are and what they hold.
Readable == Rule("CountAndDigest") => \A c \in Chunks : chunks[Key(token, c)] = token

\* Somebody writes what an operation of the plan says; perhaps not the first, and perhaps later than another.
Apply(operation) ==
    LET from == chunks[Key(token, ChunkOf(operation))] IN
    /\ state \in {"committed", "applied"}
    /\ Readable
    /\ done' = done \cup {operation}
    /\ CASE from = Missing -> UNCHANGED <<object, replica>>
         [] from # Missing /\ operation = "insert" ->
                /\ object' = [object EXCEPT !.ts = New, !.from = from,
                                            !.optional = IF Rule("NullsAreWritten") THEN "null" ELSE @]
                /\ UNCHANGED replica
         [] from # Missing /\ operation = "delete" ->
                /\ object' = [object EXCEPT !.deleted = New]
                /\ UNCHANGED replica
         [] from # Missing /\ operation = "replica" ->
                /\ \E subchunk \in Subchunks : replica' = replica \cup {<<subchunk, from>>}
                /\ UNCHANGED object
    /\ UNCHANGED <<state, token, asked, acked, chunks, damage>>

MarkApplied ==
    /\ state = "committed"
    /\ Readable
    /\ done = Operations
    /\ state' = "applied"
    /\ UNCHANGED <<token, asked, acked, chunks, done, object, replica, damage>>

Next ==
    \/ Retry \/ Commit \/ MarkApplied
    \/ \E a \in Attempts, c \in Chunks : Ask(a, c) \/ Arrive(a, c)
    \/ \E key \in DOMAIN chunks : Damage(key)
    \/ \E operation \in Operations : Apply(operation)

\* Messages arrive at last, and somebody applies.  That an attempt goes on is not said: its daemon may be dead.
Fairness ==
    /\ WF_vars(MarkApplied)
    /\ \A a \in Attempts, c \in Chunks : WF_vars(Arrive(a, c))
    /\ \A operation \in {"insert", "replica", "delete"} : WF_vars(operation \in Operations /\ Apply(operation))

Spec == Init /\ [][Next]_vars /\ Fairness

-----------------------------------------------------------------------------

TypeOK ==
    /\ state \in {"preparing", "committed", "applied"}
    /\ token \in Attempts
    /\ \A a \in Attempts : acked[a] \subseteq asked[a] /\ asked[a] \subseteq Chunks
    /\ \A key \in DOMAIN chunks : chunks[key] \in Attempts \cup {Missing}
    /\ done \subseteq Operations
    /\ object.optional \in {"old", "null"}

\* All that the committed attempt has planned is there, and nothing of another attempt.
NoLostBatch ==
    state = "applied" =>
        /\ object.ts > object.deleted /\ object.from = token
        /\ \E row \in replica : row[2] = token

NoneTwice == Cardinality(replica) <= 1

\* A column that the plan leaves empty does not show what was there before.
NothingResurrected == state = "applied" /\ object.ts = New => object.optional = "null"

AppliedAtLast == state = "committed" ~> state = "applied"

=============================================================================
