import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_assoc.core.association.heap import new_heap, pop_nearest, push_or_move_up


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 19), st.integers(0, 5)), max_size=80), st.integers(1, 5))
def test_the_nearest_comes_first_also_after_others_came_nearer(steps: list[tuple[int, int]], pops: int) -> None:
    heap, place = new_heap(20)
    distance, waiting, n = np.full(20, np.inf), set[int](), 0
    for column, length in steps:
        if length < distance[column]:
            distance[column] = length
            waiting.add(column)
            n = push_or_move_up(heap, place, n, column, distance)
        elif len(waiting) > pops:
            nearest = min(waiting, key=lambda j: (distance[j], j))
            assert heap[0] == nearest
            waiting.remove(nearest)
            n = pop_nearest(heap, place, n, distance)
            assert place[nearest] == -1
            distance[nearest] = np.inf
        assert n == len(waiting)
        assert {int(j) for j in heap[:n]} == waiting
