---------------------------- MODULE Administrator ----------------------------
(***************************************************************************)
(* dax_apdb's administrator writes beside our batches: it takes no lease,  *)
(* uses wall clocks as timestamps and raises no version of ours.           *)
(*                                                                         *)
(* One object in one cell; each batch adds one source to it.  Call 1       *)
(* withdraws the object's first source, call 2 closes the object: it       *)
(* deletes the row of DiaObjectLast.  A call notes its time, changes rows, *)
(* and writes its update record last.  A daemon may keep the object's      *)
(* state in the cache, and the version of the tile always fits.            *)
(***************************************************************************)
EXTENDS Naturals, FiniteSets, TLC

CONSTANTS
    MaxBatches, \* how many batches there are
    Ahead,      \* by how much the administrator's clock is ahead
    MaxCrashes, \* how many calls of the administrator end halfway
    LeftOut     \* the rules that are left out

VARIABLES
    now,       \* the time of the servers
    withdrawn, \* whether the first source is withdrawn
    object,    \* the row: the timestamps of its insert and its delete, and the number of the batch that wrote it
    call,      \* what each call is at: "none", "begun", "rows", "crashed", "done"
    time,      \* the time that each call has noted
    records,   \* the update records that can be read
    cached,    \* a state in the cache, with what its writer knew
    batch,     \* what the batch in hand is at
    number,    \* how many batches are committed
    last,      \* the last timestamp of the cell
    crashes

vars == <<now, withdrawn, object, call, time, records, cached, batch, number, last, crashes>>

Rule(name) == name \notin LeftOut

Calls == {1, 2}
Max(a, b) == IF a > b THEN a ELSE b
Visible == object.inserted > object.deleted
Live == number + (IF withdrawn THEN 0 ELSE 1)
Idle == [at |-> "idle", right |-> TRUE, closed |-> TRUE]

Init ==
    /\ now = 1
    /\ withdrawn = FALSE
    /\ object = [inserted |-> 1, deleted |-> 0, by |-> 0]
    /\ call = [c \in Calls |-> "none"]
    /\ time = [c \in Calls |-> 0]
    /\ records = {}
    /\ cached = [n |-> 1, open |-> TRUE, seen |-> {}]
    /\ batch = Idle
    /\ number = 0
    /\ last = 1
    /\ crashes = 0

-----------------------------------------------------------------------------
(* The administrator. *)

BeginCall(c) ==
    /\ call[c] = "none"
    /\ call' = [call EXCEPT ![c] = "begun"]
    /\ now' = now + 1
    /\ time' = [time EXCEPT ![c] = now + 1 + Ahead]
    /\ UNCHANGED <<withdrawn, object, records, cached, batch, number, last, crashes>>

\* The rows are changed at the wall clock's time.
ChangeRows(c) ==
    /\ call[c] = "begun" \/ (call[c] = "crashed" /\ Rule("CallsAreFinished"))
    /\ call' = [call EXCEPT ![c] = "rows"]
    /\ now' = IF call[c] = "crashed" THEN now + 1 ELSE now
    /\ IF c = 1 THEN withdrawn' = TRUE /\ UNCHANGED object
       ELSE object' = [object EXCEPT !.deleted = Max(@, now + Ahead)] /\ UNCHANGED withdrawn
    /\ UNCHANGED <<time, records, cached, batch, number, last, crashes>>

WriteRecord(c) ==
    /\ call[c] = "rows"
    /\ call' = [call EXCEPT ![c] = "done"]
    /\ records' = records \cup {c}
    /\ UNCHANGED <<now, withdrawn, object, time, cached, batch, number, last, crashes>>

CrashCall(c) ==
    /\ call[c] = "rows"
    /\ crashes < MaxCrashes
    /\ crashes' = crashes + 1
    /\ call' = [call EXCEPT ![c] = "crashed"]
    /\ UNCHANGED <<now, withdrawn, object, time, records, cached, batch, number, last>>

\* Whether a call is at work, so that nobody can ask what it will have done.  With the rule one that ended halfway counts:
\* whoever began it is bound to run it again.
AtWork == \E c \in Calls : call[c] \in {"begun", "rows"} \/ (call[c] = "crashed" /\ Rule("CallsAreFinished"))

-----------------------------------------------------------------------------
(* Our batches, one after another. *)

\* The records that the writer of a cached state did not know: by their names, or by the latest time that it had seen.
Latest(seen) == IF seen = {} THEN 0 ELSE CHOOSE t \in {time[c] : c \in seen} : \A c \in seen : time[c] <= t
New(seen) ==
    IF ~Rule("RecordsAreRead") THEN {}
    ELSE IF Rule("RecordsByName") THEN records \ seen
    ELSE {c \in records : time[c] > Latest(seen)}

\* The records are read before the rows.
Take(usesCache) ==
    LET believes == usesCache /\ New(cached.seen) = {}
        closed == Rule("RecordsAreAppliedAgain") /\ 2 \in records
        n == IF believes THEN cached.n ELSE Live
        open == IF believes THEN cached.open ELSE Visible /\ ~closed
    IN  /\ batch.at = "idle"
        /\ number < MaxBatches
        /\ batch' = [at |-> "decided", n |-> n, open |-> open, seen |-> records, read |-> object,
                     right |-> AtWork \/ n = Live,
                     closed |-> AtWork \/ (open => call[2] \notin {"done", "crashed"})]
        /\ UNCHANGED <<now, withdrawn, object, call, time, records, cached, number, last, crashes>>

\* Before the commit it looks once more, and decides again if something has changed.
Commit ==
    /\ batch.at = "decided"
    /\ IF Rule("LooksAgain") /\ New(batch.seen) # {}
       THEN batch' = Idle /\ UNCHANGED <<now, number, last>>
       ELSE \E jump \in IF Rule("ClockIsBounded") THEN {0} ELSE {0, Ahead + 3} :
            LET above == IF Rule("AboveWritetime") THEN batch.read.inserted ELSE 0
                ts == Max(now + 1 + jump, Max(last, above) + 1)
            IN  /\ now' = now + 1
                /\ number' = number + 1
                /\ last' = ts
                /\ batch' = [at |-> "committed", n |-> batch.n + 1, open |-> batch.open, seen |-> batch.seen,
                             read |-> batch.read, ts |-> ts, right |-> TRUE, closed |-> TRUE]
    /\ UNCHANGED <<withdrawn, object, call, time, records, cached, crashes>>

\* The object gets a new row; one that is known to be closed is deleted again.
Apply ==
    /\ batch.at = "committed"
    /\ object' = IF batch.open
                 THEN IF batch.ts > object.inserted THEN [object EXCEPT !.inserted = batch.ts, !.by = number] ELSE object
                 ELSE [object EXCEPT !.deleted = Max(@, batch.ts)]
    /\ cached' = [n |-> batch.n, open |-> batch.open, seen |-> batch.seen]
    /\ batch' = [at |-> "applied", open |-> batch.open, right |-> TRUE, closed |-> TRUE]
    /\ UNCHANGED <<now, withdrawn, call, time, records, number, last, crashes>>

Release ==
    /\ batch.at = "applied"
    /\ batch' = Idle
    /\ UNCHANGED <<now, withdrawn, object, call, time, records, cached, number, last, crashes>>

\* dax_apdb stores a new row of the object by its wall clock, which is ahead: another pipeline on the same APDB.
OtherWriter ==
    /\ batch.at = "idle"
    /\ number = 0
    /\ Visible
    /\ object.by = 0
    /\ call[2] = "none"
    /\ object' = [object EXCEPT !.inserted = Max(@, now + Ahead)]
    /\ UNCHANGED <<now, withdrawn, call, time, records, cached, batch, number, last, crashes>>

Next ==
    \/ \E c \in Calls : BeginCall(c) \/ ChangeRows(c) \/ WriteRecord(c) \/ CrashCall(c)
    \/ Take(TRUE) \/ Take(FALSE) \/ Commit \/ Apply \/ Release \/ OtherWriter

Spec == Init /\ [][Next]_vars

-----------------------------------------------------------------------------

TypeOK ==
    /\ call \in [Calls -> {"none", "begun", "rows", "crashed", "done"}]
    /\ records \subseteq Calls
    /\ batch.at \in {"idle", "decided", "committed", "applied"}
    /\ number \in 0..MaxBatches

\* Whoever takes the lease while no call is at work counts the sources that the calls have left.
NoStaleReadBelieved == batch.right

\* What a batch wrote over another row is what is seen.
NoLostBatch == batch.at = "applied" /\ batch.open => object.by = number

\* Nor does it take a closed object for an open one, and it leaves it deleted.
NothingResurrected == batch.closed /\ (batch.at = "applied" /\ ~batch.open => ~Visible)

\* No batch is committed that has not seen a call that was done by then.  This is more than can be had.
DecidedByWhatIs == batch.at = "committed" => records \subseteq batch.seen

\* A call that changes a row after our batch wrote it is not hidden by our timestamp.
CallCounts == [][\A c \in Calls : c = 2 /\ call[c] # "rows" /\ call'[c] = "rows" => ~(object'.inserted > object'.deleted)]_vars

=============================================================================
