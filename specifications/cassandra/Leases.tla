------------------------------- MODULE Leases -------------------------------
(***************************************************************************)
(* Intents, leases and rows: how a batch that touches several partitions   *)
(* counts exactly once, although a lightweight transaction (LWT) reaches   *)
(* only one of them.                                                       *)
(*                                                                         *)
(* Every batch adds itself to one row of every cell.  A row is therefore   *)
(* the history of the batches that it has seen, and every fault shows in   *)
(* it: a lost batch is missing, a batch that counts twice stands there     *)
(* twice.                                                                  *)
(*                                                                         *)
(* A daemon that is suspended is one that takes no step for a while, and   *)
(* what it had sent lies in `sent` or in `pending` meanwhile.  Nothing     *)
(* here depends on time: an intent may be aborted at any moment, so what   *)
(* holds here holds for any patience (Patience.tla is about that).         *)
(***************************************************************************)
EXTENDS Naturals, Sequences, FiniteSets, TLC

CONSTANTS
    Daemons,    \* the writers
    Nobody,     \* the holder of a lease that is free
    Batches,    \* the batches, each of which Kafka may deliver at any time, again and again
    Cells,      \* 1..n: leases are taken in this order
    MaxToken,   \* how many attempts there are in all
    MaxWrites,  \* how often the rows of a batch arrive at a cell
    Jumps,      \* by how much a clock may be ahead
    MaxUnknown, \* how many LWTs end with an unknown outcome
    LeftOut     \* the rules that are left out

VARIABLES
    intent,   \* LWT: the state, token and timestamp of each batch
    lease,    \* LWT: the holder of each cell, and the last timestamp written there
    plan,     \* the rows that each attempt wants, by token
    rows,     \* the row of each cell: the batches that it has seen
    landed,   \* how often the rows of a batch have been written to a cell
    pending,  \* LWTs whose outcome their client does not know: they may happen yet
    unknowns, \* how many there have been
    token,    \* the last token given away
    daemon    \* what each daemon is at

vars == <<intent, lease, plan, rows, landed, pending, unknowns, token, daemon>>

Rule(name) == name \notin LeftOut

Idle == [at |-> "idle"]
Max(a, b) == IF a > b THEN a ELSE b
Elements(history) == {history[i] : i \in 1..Len(history)}
IsPrefix(a, b) == Len(a) <= Len(b) /\ SubSeq(b, 1, Len(a)) = a
Symmetry == Permutations(Daemons) \cup Permutations(Batches)

Init ==
    /\ intent = [b \in Batches |-> [state |-> "missing", token |-> 0, ts |-> 0]]
    /\ lease = [c \in Cells |-> [holder |-> Nobody, token |-> 0, last |-> 0]]
    /\ plan = <<>>
    /\ rows = [c \in Cells |-> [ts |-> 0, history |-> <<>>]]
    /\ landed = [b \in Batches |-> [c \in Cells |-> 0]]
    /\ pending = {}
    /\ unknowns = 0
    /\ token = 0
    /\ daemon = [d \in Daemons |-> Idle]

-----------------------------------------------------------------------------
(* A daemon's way to the commit. *)

\* An LWT is sent, and its client does not learn whether it happens.
NobodyHearsOf(lwt) ==
    /\ unknowns < MaxUnknown
    /\ unknowns' = unknowns + 1
    /\ pending' = pending \cup {lwt}

Preparing(of) == [state |-> "preparing", token |-> of, ts |-> 0]

\* Claim the intent under a new token.  A token that was there before can never commit.  A daemon that was at something else
\* has crashed or given up, and forgotten it; one that has crashed for good takes no step any more.
Claim(d, b) ==
    /\ token < MaxToken
    /\ intent[b].state \in {"missing", "preparing", "aborted"}
    /\ token' = token + 1
    /\ plan' = Append(plan, [c \in Cells |-> <<>>])
    /\ \/ /\ intent' = [intent EXCEPT ![b] = Preparing(token + 1)]
          /\ daemon' = [daemon EXCEPT ![d] =
                [at |-> "look", batch |-> b, token |-> token + 1, cell |-> 1, floor |-> 0]]
          /\ UNCHANGED <<pending, unknowns>>
       \/ /\ NobodyHearsOf([table |-> "intent", key |-> b, seen |-> intent[b], then |-> Preparing(token + 1)])
          /\ daemon' = [daemon EXCEPT ![d] = Idle]
          /\ UNCHANGED intent
    /\ UNCHANGED <<lease, rows, landed>>

Mine(me, held) == held.holder = me.batch /\ held.token = me.token

\* Whether the lease may be taken from its holder, by what a SERIAL read of both rows shows.
MayPass(held) ==
    IF held.holder = Nobody THEN TRUE
    ELSE LET of == intent[held.holder] IN
        \/ of.token # held.token /\ of.state # "missing"
        \/ of.state \in {"aborted", "applied"}
        \/ of.state = "missing" /\ ~Rule("MissingIsFatal")
        \/ of.state = "preparing" /\ ~Rule("Fence")
        \/ of.state = "committed" /\ ~Rule("RollForward")

\* The last timestamp that the cell has seen once the lease is taken.
LastAfter(held) ==
    IF held.holder = Nobody \/ ~Rule("LastIsKept") THEN held.last
    ELSE LET of == intent[held.holder] IN
        IF of.token = held.token /\ of.state \in {"committed", "applied"} THEN Max(held.last, of.ts) ELSE held.last

\* Read the lease and its holder's intent.
Look(d) ==
    LET me == daemon[d]
        held == lease[me.cell]
    IN  /\ me.at = "look"
        /\ \/ /\ Mine(me, held)
              /\ daemon' = [daemon EXCEPT ![d] =
                    [me EXCEPT !.at = IF me.cell = Cardinality(Cells) THEN "plan" ELSE "look",
                               !.cell = IF me.cell = Cardinality(Cells) THEN 1 ELSE me.cell + 1,
                               !.floor = Max(me.floor, held.last)]]
           \/ /\ ~Mine(me, held)
              /\ MayPass(held)
              /\ daemon' = [daemon EXCEPT ![d] =
                    [at |-> "take", batch |-> me.batch, token |-> me.token, cell |-> me.cell,
                     floor |-> me.floor, seen |-> held, last |-> LastAfter(held)]]
        /\ UNCHANGED <<intent, lease, plan, rows, landed, pending, unknowns, token>>

Taken(me) == [holder |-> me.batch, token |-> me.token, last |-> me.last]
BackToLook(me) == [at |-> "look", batch |-> me.batch, token |-> me.token, cell |-> me.cell, floor |-> me.floor]

\* Take the lease, if its row is still what was read.
Take(d) ==
    LET me == daemon[d] IN
    /\ me.at = "take"
    /\ lease' = IF lease[me.cell] = me.seen THEN [lease EXCEPT ![me.cell] = Taken(me)] ELSE lease
    /\ daemon' = [daemon EXCEPT ![d] = BackToLook(me)]
    /\ UNCHANGED <<intent, plan, rows, landed, pending, unknowns, token>>

TakeWithUnknownOutcome(d) ==
    LET me == daemon[d] IN
    /\ me.at = "take"
    /\ NobodyHearsOf([table |-> "lease", key |-> me.cell, seen |-> me.seen, then |-> Taken(me)])
    /\ daemon' = [daemon EXCEPT ![d] = BackToLook(me)]
    /\ UNCHANGED <<intent, lease, plan, rows, landed, token>>

\* Somebody waits for the lease of an intent that is being prepared, and aborts it.  Without the rule of LWTs the abort is
\* a plain write: it has no condition, and lands whenever it does.
Abort(d) ==
    LET me == daemon[d]
        held == lease[me.cell]
    IN  /\ me.at = "look"
        /\ held.holder # Nobody
        /\ ~Mine(me, held)
        /\ intent[held.holder].token = held.token
        /\ intent[held.holder].state = "preparing"
        /\ LET of == intent[held.holder]
               aborted == [of EXCEPT !.state = "aborted"]
           IN  IF Rule("OnlyLWT")
               THEN \/ intent' = [intent EXCEPT ![held.holder] = aborted] /\ UNCHANGED <<pending, unknowns>>
                    \/ /\ NobodyHearsOf([table |-> "intent", key |-> held.holder, seen |-> of, then |-> aborted])
                       /\ UNCHANGED intent
               ELSE /\ pending' = pending \cup {[table |-> "intent, plain", key |-> held.holder, then |-> aborted]}
                    /\ UNCHANGED <<intent, unknowns>>
        /\ UNCHANGED <<lease, plan, rows, landed, token, daemon>>

\* All leases are held: read at QUORUM, compute, write the plan under the token.
Plan(d) ==
    LET me == daemon[d] IN
    /\ me.at = "plan"
    /\ plan' = [plan EXCEPT ![me.token] = [c \in Cells |-> Append(rows[c].history, me.batch)]]
    /\ daemon' = [daemon EXCEPT ![d].at = "commit"]
    /\ UNCHANGED <<intent, lease, rows, landed, pending, unknowns, token>>

\* A clock may say anything: a timestamp is anything above the floor.
Timestamps(me) == LET floor == IF Rule("TimestampsGrow") THEN me.floor ELSE 0 IN {floor + jump : jump \in Jumps}

MayCommit(b, of) ==
    IF Rule("CommitIfMine")
    THEN intent[b].state = "preparing" /\ intent[b].token = of
    ELSE intent[b].state \in {"preparing", "aborted"}

Commit(d) ==
    LET me == daemon[d] IN
    /\ me.at = "commit"
    /\ \E ts \in Timestamps(me) :
        intent' = IF MayCommit(me.batch, me.token)
                  THEN [intent EXCEPT ![me.batch] = [state |-> "committed", token |-> me.token, ts |-> ts]]
                  ELSE intent
    /\ daemon' = [daemon EXCEPT ![d] = Idle]
    /\ UNCHANGED <<lease, plan, rows, landed, pending, unknowns, token>>

CommitWithUnknownOutcome(d) ==
    LET me == daemon[d] IN
    /\ me.at = "commit"
    /\ \E ts \in Timestamps(me) :
        NobodyHearsOf([table |-> "intent", key |-> me.batch, seen |-> Preparing(me.token),
                       then |-> [state |-> "committed", token |-> me.token, ts |-> ts]])
    /\ daemon' = [daemon EXCEPT ![d].at = "doubt"]
    /\ UNCHANGED <<intent, lease, plan, rows, landed, token>>

\* The commit counts as failed once an own LWT has made it impossible; whoever only believes it hands the leases back.
Doubt(d) ==
    LET me == daemon[d] IN
    /\ me.at = "doubt"
    /\ IF Rule("DoubtEndsByLWT")
       THEN /\ intent' = IF intent[me.batch].state = "preparing" /\ intent[me.batch].token = me.token
                         THEN [intent EXCEPT ![me.batch].state = "aborted"] ELSE intent
            /\ UNCHANGED lease
       ELSE /\ intent[me.batch].state = "preparing"
            /\ lease' = [c \in Cells |-> IF Mine(me, lease[c])
                                         THEN [holder |-> Nobody, token |-> 0, last |-> lease[c].last] ELSE lease[c]]
            /\ UNCHANGED intent
    /\ daemon' = [daemon EXCEPT ![d] = Idle]
    /\ UNCHANGED <<plan, rows, landed, pending, unknowns, token>>

-----------------------------------------------------------------------------
(* What is true of Cassandra, and what anybody may do for a committed batch. *)

\* An LWT of unknown outcome happens after all, if the row is still what its condition says.
Happen(lwt) ==
    /\ lwt \in pending
    /\ pending' = pending \ {lwt}
    /\ CASE lwt.table = "lease" ->
                /\ lease' = IF lease[lwt.key] = lwt.seen THEN [lease EXCEPT ![lwt.key] = lwt.then] ELSE lease
                /\ UNCHANGED intent
         [] lwt.table = "intent" ->
                /\ intent' = IF intent[lwt.key] = lwt.seen THEN [intent EXCEPT ![lwt.key] = lwt.then] ELSE intent
                /\ UNCHANGED lease
         [] lwt.table = "intent, plain" ->
                /\ intent' = [intent EXCEPT ![lwt.key].state = lwt.then.state]
                /\ UNCHANGED lease
    /\ UNCHANGED <<plan, rows, landed, unknowns, token, daemon>>

\* Whoever has seen a committed intent writes its rows, any number of times, and a write arrives when it does: perhaps
\* long after somebody else has done the same.  The later timestamp wins; of equal ones either may.
Land(b, c) ==
    LET ts == IF Rule("DerivedTimestamps") THEN intent[b].ts ELSE rows[c].ts + 1
        row == [ts |-> ts, history |-> plan[intent[b].token][c]]
    IN  /\ intent[b].state \in {"committed", "applied"}
        /\ landed[b][c] < MaxWrites
        /\ landed' = [landed EXCEPT ![b][c] = @ + 1]
        /\ \/ ts >= rows[c].ts /\ rows' = [rows EXCEPT ![c] = row]
           \/ ts <= rows[c].ts /\ UNCHANGED rows
        /\ UNCHANGED <<intent, lease, plan, pending, unknowns, token, daemon>>

\* Whoever wrote the rows has them acknowledged and says so.
MarkApplied(b) ==
    /\ intent[b].state = "committed"
    /\ \A c \in Cells : landed[b][c] > 0
    /\ intent' = [intent EXCEPT ![b].state = "applied"]
    /\ UNCHANGED <<lease, plan, rows, landed, pending, unknowns, token, daemon>>

\* The lease of an applied intent becomes free.
Release(c) ==
    LET held == lease[c] IN
    /\ held.holder # Nobody
    /\ intent[held.holder].token = held.token
    /\ intent[held.holder].state = "applied"
    /\ LET free == [holder |-> Nobody, token |-> 0, last |-> LastAfter(held)] IN
        \/ lease' = [lease EXCEPT ![c] = free] /\ UNCHANGED <<pending, unknowns>>
        \/ NobodyHearsOf([table |-> "lease", key |-> c, seen |-> held, then |-> free]) /\ UNCHANGED lease
    /\ UNCHANGED <<intent, plan, rows, landed, token, daemon>>

\* Somebody cleans up, or a TTL does.
Forget(b) ==
    /\ ~Rule("IntentsStay")
    /\ intent[b].state = "applied"
    /\ intent' = [intent EXCEPT ![b] = [state |-> "missing", token |-> 0, ts |-> 0]]
    /\ UNCHANGED <<lease, plan, rows, landed, pending, unknowns, token, daemon>>

Next ==
    \/ \E d \in Daemons :
        \/ \E b \in Batches : Claim(d, b)
        \/ Look(d) \/ Take(d) \/ TakeWithUnknownOutcome(d) \/ Abort(d) \/ Plan(d)
        \/ Commit(d) \/ CommitWithUnknownOutcome(d) \/ Doubt(d)
    \/ \E b \in Batches : MarkApplied(b) \/ Forget(b) \/ \E c \in Cells : Land(b, c)
    \/ \E c \in Cells : Release(c)
    \/ \E lwt \in pending : Happen(lwt)

Spec == Init /\ [][Next]_vars

-----------------------------------------------------------------------------
(* What must be true. *)

States == {"missing", "preparing", "committed", "applied", "aborted"}

TypeOK ==
    /\ \A b \in Batches : intent[b].state \in States /\ intent[b].token \in 0..MaxToken /\ intent[b].ts \in Nat
    /\ \A c \in Cells : /\ lease[c].holder \in Batches \cup {Nobody}
                        /\ lease[c].token \in 0..MaxToken
                        /\ lease[c].last \in Nat
                        /\ Elements(rows[c].history) \subseteq Batches
    /\ Len(plan) = token

\* A batch that is applied is in every row that it touches, from then on.
NoLostBatch == \A b \in Batches : intent[b].state = "applied" => \A c \in Cells : b \in Elements(rows[c].history)

NoneTwice == \A c \in Cells : Cardinality(Elements(rows[c].history)) = Len(rows[c].history)

\* No row shows a batch that is not committed.
OnlyCommitted == \A c \in Cells : \A b \in Elements(rows[c].history) : intent[b].state \in {"committed", "applied"}

\* All cells have seen the batches in one order.
SerialOrder ==
    \A c, e \in Cells : IsPrefix(rows[c].history, rows[e].history) \/ IsPrefix(rows[e].history, rows[c].history)

\* A row never goes back to what it was.
NothingResurrected == [][\A c \in Cells : IsPrefix(rows[c].history, rows'[c].history)]_rows

=============================================================================
