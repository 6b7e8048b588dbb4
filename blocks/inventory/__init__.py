"""What an AWS account holds, counted in two ways: the tagging API, and a list call for every resource type.

The table of list calls is data, in `network`, `storage` and `operations`; `parts` names the Terraform types that are no
resource of their own. A type in neither fails, so nothing is skipped in silence.
"""

from blocks.inventory.listings import LISTINGS
from blocks.inventory.observe import observe_inventory
from blocks.inventory.parts import PARTS

__all__ = ["LISTINGS", "PARTS", "observe_inventory"]
