------------------------------ MODULE Patience ------------------------------
(***************************************************************************)
(* When to abort another's intent, so that some batch gets done.           *)
(*                                                                         *)
(* Every daemon has one batch, and all need the same lease.  A batch takes *)
(* Work steps under the lease.  The holder renews a counter by LWT in each *)
(* step; who waits aborts the holder's intent once it has seen the same    *)
(* counter for Patience ticks of its own monotonic clock.  A holder that   *)
(* lives takes a step at least once in that time: this is the only thing   *)
(* here that is said about speed, and nothing but progress hangs on it.    *)
(***************************************************************************)
EXTENDS Naturals, FiniteSets, TLC

CONSTANTS
    Daemons, Nobody,
    Work,      \* how many steps a batch takes
    Patience,  \* how many ticks a daemon waits
    MaxDeaths, \* how many daemons die
    LeftOut    \* the rules that are left out

VARIABLES
    holder,  \* LWT: who holds the lease
    counter, \* LWT: the holder's counter
    work,    \* how many steps the holder has taken
    done,    \* the daemons whose batch is committed
    dead,    \* the daemons that are dead
    seen,    \* the holder and counter that each daemon has seen last
    ticks    \* for how many ticks of its own clock it has seen them

vars == <<holder, counter, work, done, dead, seen, ticks>>

Rule(name) == name \notin LeftOut

Init ==
    /\ holder = Nobody
    /\ counter = 0
    /\ work = 0
    /\ done = {}
    /\ dead = {}
    /\ seen = [d \in Daemons |-> <<Nobody, 0>>]
    /\ ticks = [d \in Daemons |-> 0]

Alive(d) == d \notin dead

Take(d) ==
    /\ Alive(d) /\ d \notin done
    /\ holder = Nobody
    /\ holder' = d
    /\ counter' = 0
    /\ work' = 0
    /\ UNCHANGED <<done, dead, seen, ticks>>

\* A step of the work, with a renewal.  The counter is kept small: who waits only asks whether it is the same.
Step(d) ==
    /\ Alive(d)
    /\ holder = d
    /\ work < Work
    /\ work' = work + 1
    /\ counter' = IF Rule("HolderRenews") THEN counter + 1 ELSE counter
    /\ UNCHANGED <<holder, done, dead, seen, ticks>>

Commit(d) ==
    /\ Alive(d)
    /\ holder = d
    /\ work = Work
    /\ done' = done \cup {d}
    /\ holder' = Nobody
    /\ UNCHANGED <<counter, work, dead, seen, ticks>>

\* A tick of the clock of one who waits, and a look at the counter.  A holder that lives is not overtaken by a whole patience.
Look(d) ==
    /\ Alive(d) /\ d \notin done
    /\ holder \notin {Nobody, d}
    /\ IF seen[d] = <<holder, counter>>
       THEN /\ ticks[d] < Patience
            /\ holder \in dead \/ ~Rule("HolderRenews") \/ ticks[d] + 1 < Patience
            /\ ticks' = [ticks EXCEPT ![d] = @ + 1]
            /\ UNCHANGED seen
       ELSE /\ seen' = [seen EXCEPT ![d] = <<holder, counter>>]
            /\ ticks' = [ticks EXCEPT ![d] = 0]
    /\ UNCHANGED <<holder, counter, work, done, dead>>

MayAbort(d) ==
    IF Rule("PatienceIsCounted")
    THEN seen[d] = <<holder, counter>> /\ ticks[d] >= Patience
    ELSE TRUE  \* the expiry is a date, and the clocks differ

\* The holder's intent is aborted and the lease taken, as in Leases.tla.
Abort(d) ==
    /\ Alive(d) /\ d \notin done
    /\ holder \notin {Nobody, d}
    /\ MayAbort(d)
    /\ Rule("DeadAreAborted")
    /\ holder' = d
    /\ counter' = 0
    /\ work' = 0
    /\ UNCHANGED <<done, dead, seen, ticks>>

Die(d) ==
    /\ Alive(d)
    /\ Cardinality(dead) < MaxDeaths
    /\ dead' = dead \cup {d}
    /\ UNCHANGED <<holder, counter, work, done, seen, ticks>>

Act(d) == Take(d) \/ Step(d) \/ Commit(d) \/ Look(d) \/ Abort(d)

Next == \E d \in Daemons : Act(d) \/ Die(d)

Spec == Init /\ [][Next]_vars /\ \A d \in Daemons : WF_vars(Act(d))

-----------------------------------------------------------------------------

TypeOK ==
    /\ holder \in Daemons \cup {Nobody}
    /\ counter \in 0..Work /\ work \in 0..Work
    /\ ticks \in [Daemons -> 0..Patience]

\* A batch of a daemon that lives is committed at last.
CommittedAtLast == \A d \in Daemons : <>(d \in done \/ d \in dead)

=============================================================================
