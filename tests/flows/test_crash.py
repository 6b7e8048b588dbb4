"""A cut of the crash matrix: every step killed once, Terraform's in every way; `make prove PIPELINE=crash` runs all."""

import pytest

from tests.crash_matrix import FAULTS, OF_TERRAFORM, Cell, Matrix, list_cells, try_cell
from tests.flow_world import World

PROTECTION = {"teardown": "allowed", "deletion_limit": 50, "final_snapshot": False, "keep_media": True}


def _is_in_cut(cell: Cell) -> bool:
    """Each step with SIGKILL once, and the other ways to die of a Terraform, early."""
    if not cell.has_child:
        return (cell.fault, cell.moment) == ("SIGKILL of the flow", "late")
    early = (*OF_TERRAFORM, "cancel")
    return cell.is_possible and cell.moment == ("early" if cell.fault in early else "late") and cell.fault in FAULTS[2:]


CUT = [cell for cell in list_cells("terraform_data") if _is_in_cut(cell)]


@pytest.fixture(scope="module")
def matrix(world: World) -> Matrix:
    """One environment on `terraform_data`, which every cell leaves for the next."""
    name = "crash-cut"
    return Matrix(world, name, "terraform_data", world.add_spec(name, protection=PROTECTION))


@pytest.mark.parametrize("cell", CUT, ids=str)
def test_a_run_that_dies_leaves_nothing_wrong(matrix: Matrix, cell: Cell) -> None:
    """No process, lock, lease or folder is left, the ledger says what is, and the next run converges."""
    assert try_cell(matrix, cell)
