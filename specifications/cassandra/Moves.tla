-------------------------------- MODULE Moves --------------------------------
(***************************************************************************)
(* An object that moves between two cells, which lie in two partitions.    *)
(*                                                                         *)
(* The first batch sees it in cell 1 and moves it to cell 2; the second    *)
(* sees it there and moves it back.  A third one works in cell 2 and has   *)
(* nothing to do with it.  The moves hold the lease of cell 1; with the    *)
(* rule, that of the destination too.  DiaObjectLastToPartition (the map)  *)
(* finds an object by its id.                                              *)
(***************************************************************************)
EXTENDS Naturals, FiniteSets, TLC

CONSTANTS
    MaxWrites, \* how often each statement of a batch arrives
    LeftOut    \* the rules that are left out

VARIABLES
    move,     \* the state of both moves: "none", "committed", "applied"
    version,  \* LWT: the version of each cell
    row,      \* the object in each cell: the timestamps of its insert and its delete
    map,      \* where the map has it, and since when
    arrived,  \* how often each statement of the moves has arrived
    tile,     \* the cached tile of cell 2: whether the object is in it, and the version
    third,    \* the third batch: what it has read under the lease of cell 2
    reader    \* one who takes no lease: the copies that it has found

vars == <<move, version, row, map, arrived, tile, third, reader>>

Rule(name) == name \notin LeftOut

Cells == {1, 2}
Moves == {1, 2}
From(m) == m
To(m) == 3 - m
Ts(m) == m + 1
Statements == {"delete", "insert", "map"}
There(c) == row[c].inserted > row[c].deleted

Init ==
    /\ move = [m \in Moves |-> "none"]
    /\ version = [c \in Cells |-> 0]
    /\ row = [c \in Cells |-> [inserted |-> IF c = 1 THEN 1 ELSE 0, deleted |-> 0]]
    /\ map = [cell |-> 1, ts |-> 1]
    /\ arrived = [m \in Moves |-> [s \in Statements |-> 0]]
    /\ tile = [there |-> FALSE, version |-> 0]
    /\ third = [at |-> "idle"]
    /\ reader = [at |-> 1, found |-> {}]

-----------------------------------------------------------------------------

\* Both moves need the lease of cell 1; the third batch holds that of cell 2.
Commit(m) ==
    /\ move[m] = "none"
    /\ m = 2 => move[1] = "applied"
    /\ Rule("DestinationLeased") => third.at = "idle"
    /\ move' = [move EXCEPT ![m] = "committed"]
    /\ UNCHANGED <<version, row, map, arrived, tile, third, reader>>

\* A statement of the plan arrives, for the first time or again, late perhaps.
Arrive(m, s) ==
    LET ts == IF Rule("OneTimestamp") THEN Ts(m) ELSE Ts(m) + arrived[m][s] * 2 IN
    /\ move[m] # "none"
    /\ arrived[m][s] < MaxWrites
    /\ arrived' = [arrived EXCEPT ![m][s] = @ + 1]
    /\ CASE s = "delete" ->
                /\ row' = IF ts >= row[From(m)].deleted THEN [row EXCEPT ![From(m)].deleted = ts] ELSE row
                /\ UNCHANGED map
         [] s = "insert" ->
                /\ row' = IF ts >= row[To(m)].inserted THEN [row EXCEPT ![To(m)].inserted = ts] ELSE row
                /\ UNCHANGED map
         [] s = "map" ->
                /\ map' = IF ts >= map.ts THEN [cell |-> To(m), ts |-> ts] ELSE map
                /\ UNCHANGED row
    /\ UNCHANGED <<move, version, tile, third, reader>>

\* The LWTs that release the leases raise the versions of the cells that were leased.
Release(m) ==
    /\ move[m] = "committed"
    /\ \A s \in Statements : arrived[m][s] > 0
    /\ move' = [move EXCEPT ![m] = "applied"]
    /\ version' = [c \in Cells |-> IF c = 1 \/ Rule("DestinationLeased") THEN version[c] + 1 ELSE version[c]]
    /\ UNCHANGED <<row, map, arrived, tile, third, reader>>

\* The third batch takes the lease of cell 2, finishes what is committed there, and reads the tile or the rows.
Begin ==
    /\ third.at = "idle"
    /\ Rule("DestinationLeased") => \A m \in Moves : move[m] # "committed"
    /\ \/ tile.version = version[2] /\ third' = [at |-> "decides", there |-> tile.there] /\ UNCHANGED tile
       \/ third' = [at |-> "decides", there |-> There(2)] /\ tile' = [there |-> There(2), version |-> version[2]]
    /\ UNCHANGED <<move, version, row, map, arrived, reader>>

End ==
    /\ third.at = "decides"
    /\ third' = [at |-> "idle"]
    /\ UNCHANGED <<move, version, row, map, arrived, tile, reader>>

\* One who takes no lease reads cell 1, then cell 2, then the map.
ReadCell ==
    /\ reader.at \in Cells
    /\ reader' = [at |-> reader.at + 1, found |-> IF There(reader.at) THEN reader.found \cup {reader.at} ELSE reader.found]
    /\ UNCHANGED <<move, version, row, map, arrived, tile, third>>

ReadMap ==
    /\ reader.at = 3
    /\ reader' = [at |-> 4, found |-> IF Rule("MapDecides") /\ Cardinality(reader.found) > 1
                                      THEN reader.found \cap {map.cell} ELSE reader.found]
    /\ UNCHANGED <<move, version, row, map, arrived, tile, third>>

Next ==
    \/ \E m \in Moves : Commit(m) \/ Release(m) \/ \E s \in Statements : Arrive(m, s)
    \/ Begin \/ End \/ ReadCell \/ ReadMap

Spec == Init /\ [][Next]_vars

-----------------------------------------------------------------------------

TypeOK ==
    /\ move \in [Moves -> {"none", "committed", "applied"}]
    /\ map.cell \in Cells
    /\ reader.found \subseteq Cells

\* What the third batch decides by does not change under its hands.
NoStaleReadBelieved == third.at = "decides" => third.there = There(2)

\* After all moves the object is in one cell, the right one, and the map knows it.
InOneCell ==
    LET Place(c) == (\A e \in Cells : There(e) <=> e = c) /\ map.cell = c IN
    /\ move[1] = "applied" /\ move[2] = "none" => Place(2)
    /\ move[2] = "applied" => Place(1)

\* Whoever reads without a lease does not see an object twice.
NotSeenTwice == reader.at = 4 => Cardinality(reader.found) <= 1

=============================================================================
