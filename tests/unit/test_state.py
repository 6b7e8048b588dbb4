"""Terraform's state, read for addresses, ids and dependencies."""

from domain.state import find_buckets, read_dependencies, read_resources

STATE = {
    "version": 4,
    "resources": [
        {
            "mode": "managed",
            "module": "module.network[0]",
            "type": "aws_subnet",
            "name": "public",
            "instances": [
                {"index_key": "a", "attributes": {"id": "subnet-1", "arn": "arn:1"}, "dependencies": []},
                {"index_key": "b", "attributes": {"id": "subnet-2", "arn": "arn:2"}, "dependencies": []},
            ],
        },
        {
            "mode": "managed",
            "type": "aws_lb",
            "name": "this",
            "instances": [
                {"attributes": {"id": "lb", "arn": "arn:3"}, "dependencies": ["module.network.aws_subnet.public"]}
            ],
        },
        {"mode": "data", "type": "aws_region", "name": "here", "instances": [{"attributes": {"id": "x"}}]},
    ],
}


def test_addresses_are_those_that_terraform_prints() -> None:
    """Modules, names and instance keys, and no data source."""
    assert [resource.address for resource in read_resources(STATE)] == [
        "aws_lb.this",
        'module.network[0].aws_subnet.public["a"]',
        'module.network[0].aws_subnet.public["b"]',
    ]


def test_a_dependency_on_a_block_is_one_on_each_of_its_instances() -> None:
    """A state names the block that a resource waited for, not the instance."""
    assert read_dependencies(read_resources(STATE))["aws_lb.this"] == {
        'module.network[0].aws_subnet.public["a"]',
        'module.network[0].aws_subnet.public["b"]',
    }


def test_an_empty_state_has_no_resources() -> None:
    """Terraform writes a state without resources after a destroy."""
    assert read_resources({"version": 4}) == ()


def _bucket(module: str, name: str, region: str) -> dict[str, object]:
    made = {"attributes": {"bucket": name, "region": region}}
    return {"mode": "managed", "module": module, "type": "aws_s3_bucket", "name": "this", "instances": [made]}


def test_buckets_are_found_where_all_outputs_are_gone() -> None:
    """A removal that stopped halfway leaves no outputs: the bucket that could not go is found by its module."""
    state = {
        "outputs": {},
        "resources": [
            _bucket("module.media[0].module.bucket", "media", "eu-central-1"),
            _bucket("module.media[0].module.replica[0]", "copy", "eu-west-1"),
            _bucket("module.media_logs[0].module.bucket", "other", "eu-central-1"),
        ],
    }
    assert find_buckets(state, "media") == {"media": "eu-central-1", "copy": "eu-west-1"}
    assert find_buckets({}, "media") == {}
