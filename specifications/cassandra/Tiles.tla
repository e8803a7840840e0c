-------------------------------- MODULE Tiles --------------------------------
(***************************************************************************)
(* The cached tile of one cell, and the version by which it is believed.   *)
(*                                                                         *)
(* Batches change the cell one after another: Leases.tla says why.  The    *)
(* cell has two rows, so that a batch can be applied by halves; each row   *)
(* is the number of batches that it has seen.  The cache may lose          *)
(* anything, and may come back with anything that was ever written to it.  *)
(***************************************************************************)
EXTENDS Naturals, TLC

CONSTANTS
    MaxBatches, \* how many batches there are
    LeftOut     \* the rules that are left out

VARIABLES
    lease,    \* LWT: who holds the cell ("free", "preparing", "committed"), and its version
    before,   \* the version that a read may still see that is not SERIAL
    batches,  \* how many batches are committed
    rows,     \* the two rows
    cache,    \* all that was ever written to the cache
    holder,   \* what the holder of the lease believes
    warmer,   \* what the warmer is at
    owed      \* what daemons have yet to write to the cache

vars == <<lease, before, batches, rows, cache, holder, warmer, owed>>

Rule(name) == name \notin LeftOut

Rows == {1, 2}
Nothing == [known |-> FALSE]
Whole(n) == [r \in Rows |-> n]

Init ==
    /\ lease = [held |-> "free", version |-> 0]
    /\ before = 0
    /\ batches = 0
    /\ rows = Whole(0)
    /\ cache = {}
    /\ holder = Nothing
    /\ warmer = [at |-> "idle"]
    /\ owed = {}

\* The versions that a read of the lease row may give.
Read == IF Rule("ReadSerial") THEN {lease.version} ELSE {before, lease.version}

-----------------------------------------------------------------------------
(* Batches. *)

\* Take the lease.  The holder believes the cache if the version fits, and reads the rows otherwise, or if there is no tile.
Take ==
    /\ lease.held = "free"
    /\ \E version \in Read :
        \/ \E tile \in cache :
            /\ tile.version = version \/ ~Rule("VersionIsChecked")
            /\ holder' = [known |-> TRUE, content |-> tile.content]
        \/ holder' = [known |-> TRUE, content |-> rows]
    /\ lease' = [lease EXCEPT !.held = "preparing"]
    /\ before' = lease.version
    /\ UNCHANGED <<batches, rows, cache, warmer, owed>>

\* The batch is aborted: nothing has changed.
Abort ==
    /\ lease.held = "preparing"
    /\ lease' = [lease EXCEPT !.held = "free"]
    /\ before' = lease.version
    /\ holder' = Nothing
    /\ UNCHANGED <<batches, rows, cache, warmer, owed>>

Commit ==
    /\ lease.held = "preparing"
    /\ batches < MaxBatches
    /\ batches' = batches + 1
    /\ lease' = [held |-> "committed", version |-> IF Rule("VersionAfterRows") THEN lease.version ELSE lease.version + 1]
    /\ before' = lease.version
    /\ holder' = Nothing
    /\ UNCHANGED <<rows, cache, warmer, owed>>

Apply(r) ==
    /\ lease.held = "committed"
    /\ rows' = [rows EXCEPT ![r] = batches]
    /\ UNCHANGED <<lease, before, batches, cache, holder, warmer, owed>>

\* All rows are there: the lease is free, and the version is raised in the same LWT.
Release ==
    /\ lease.held = "committed"
    /\ rows = Whole(batches)
    /\ LET version == IF Rule("VersionAfterRows") /\ Rule("VersionIsRaised") THEN lease.version + 1 ELSE lease.version IN
        /\ lease' = [held |-> "free", version |-> version]
        /\ owed' = owed \cup {[version |-> version, content |-> rows]}
    /\ before' = lease.version
    /\ UNCHANGED <<batches, rows, cache, holder, warmer>>

\* Or its daemon is dead, and the next batch has applied the rows in its place and takes the lease from it.
TakeFromApplied ==
    LET version == IF Rule("VersionAfterRows") /\ Rule("VersionIsRaised") /\ Rule("TakerRaisesToo")
                   THEN lease.version + 1 ELSE lease.version
    IN  /\ lease.held = "committed"
        /\ rows = Whole(batches)
        /\ lease' = [held |-> "preparing", version |-> version]
        /\ before' = lease.version
        /\ \E tile \in cache \cup {[version |-> version, content |-> rows]} :
            /\ tile.version = version
            /\ holder' = [known |-> TRUE, content |-> tile.content]
        /\ UNCHANGED <<batches, rows, cache, warmer, owed>>

\* A daemon writes the tile to the cache, perhaps after a long sleep.
WriteCache ==
    /\ \E tile \in owed : cache' = cache \cup {tile} /\ owed' = owed \ {tile}
    /\ UNCHANGED <<lease, before, batches, rows, holder, warmer>>

-----------------------------------------------------------------------------
(* A warmer: it takes no lease. *)

Begin ==
    /\ warmer.at = "idle"
    /\ Rule("LeaseIsFree") => lease.held = "free"
    /\ \E version \in Read : warmer' = [at |-> "reading", version |-> version, content |-> [r \in {} |-> 0]]
    /\ UNCHANGED <<lease, before, batches, rows, cache, holder, owed>>

ReadRow(r) ==
    /\ warmer.at = "reading"
    /\ r \notin DOMAIN warmer.content
    /\ warmer' = [warmer EXCEPT !.content = @ @@ (r :> rows[r])]
    /\ UNCHANGED <<lease, before, batches, rows, cache, holder, owed>>

\* The version is read once more; then the tile is kept under the version that was read first.
Finish ==
    /\ warmer.at = "reading"
    /\ DOMAIN warmer.content = Rows
    /\ \E version \in Read :
        LET tile == [version |-> IF Rule("VersionReadBefore") THEN warmer.version ELSE version, content |-> warmer.content] IN
        owed' = IF /\ Rule("LeaseIsFree") => lease.held = "free"
                   /\ Rule("SameVersionAfter") /\ Rule("VersionReadBefore") => version = warmer.version
                THEN owed \cup {tile} ELSE owed
    /\ warmer' = [at |-> "idle"]
    /\ UNCHANGED <<lease, before, batches, rows, cache, holder>>

Next ==
    \/ Take \/ TakeFromApplied \/ Abort \/ Commit \/ Release \/ WriteCache \/ Begin \/ Finish
    \/ \E r \in Rows : Apply(r) \/ ReadRow(r)

Spec == Init /\ [][Next]_vars

-----------------------------------------------------------------------------

TypeOK ==
    /\ lease.held \in {"free", "preparing", "committed"}
    /\ lease.version \in 0..MaxBatches
    /\ batches \in 0..MaxBatches
    /\ rows \in [Rows -> 0..MaxBatches]
    /\ warmer.at \in {"idle", "reading"}

\* Who decides over a batch knows all batches before it, whole.
NoStaleReadBelieved == holder.known => holder.content = Whole(batches)

=============================================================================
