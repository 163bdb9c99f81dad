"""What a check sees of modules and objects."""

import torch

from bench.check.contents import Contents, walk


class Node:
    def __init__(self):
        self.value, self.me, self.around = 3.0, self, [self, {"up": self}]


def test_what_holds_itself_is_gone_into_once_and_its_change_is_seen():
    node, table = Node(), {"tensor": torch.zeros(2)}
    table["me"] = table
    before = Contents(walk({"node": node, "table": table}))
    assert before.changed(Contents(walk({"node": node, "table": table}))) == []
    node.value = 4.0
    table["tensor"][1] = 1.0
    after = Contents(walk({"node": node, "table": table}))
    assert sorted(before.changed(after)) == ["node.value", "table.tensor"]
