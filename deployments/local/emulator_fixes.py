"""What moto gets wrong for the calls our Terraform makes. Every fix says whose fault it mends and for which call.

Invariant: the HCL stays as AWS wants it; what only the emulator needs stands here.
"""

import functools
import json
import secrets
import string
from collections.abc import Callable
from typing import Any

from moto.core.responses import ActionResult
from moto.ec2.models.launch_templates import LaunchTemplateVersion
from moto.ec2.models.nat_gateways import NatGateway, NatGatewayBackend
from moto.eks import models as eks
from moto.eks import urls as eks_urls
from moto.eks.responses import EKSResponse
from moto.iam.access_control import IAMPolicyStatement, PermissionResult
from moto.rds.models import DBInstance, RDSBackend
from moto.s3.responses import S3Response
from moto.sqs.models import Queue
from werkzeug.datastructures import Headers


def apply_fixes() -> None:
    """Mend moto in this process. Call it once, before the server starts."""
    for fix in (
        give_databases_their_own_id,
        remember_performance_insights,
        give_replicas_their_own_place,
        forget_replicas_by_either_name,
        release_promoted_replicas,
        skip_conditional_denials,
        take_copies_into_locked_buckets,
        keep_replication_rules,
        answer_redrive_policies_as_put,
        remember_eks_choices,
        move_node_groups_to_new_templates,
        leave_node_groups_without_ssh,
        keep_template_tags_out_of_instances,
        remove_interfaces_of_nat_gateways,
    ):
        fix()


def give_databases_their_own_id() -> None:
    """Mend rds:CreateDBInstance: moto gives every instance one DbiResourceId, by which the provider reads it."""

    def name(database: DBInstance, _: dict[str, Any]) -> None:
        database.dbi_resource_id = _new_dbi_resource_id()

    _run_after_making(DBInstance, name)


def remember_performance_insights() -> None:
    """Mend rds:CreateDBInstance and DescribeDBInstances: moto drops the choice, a change in every plan."""

    def remember(database: DBInstance, asked: dict[str, Any]) -> None:
        database.enable_performance_insights = asked.get("enable_performance_insights", False)
        database.performance_insights_kms_key_id = asked.get("performance_insights_kms_key_id")

    _run_after_making(DBInstance, remember)
    DBInstance.performance_insights_enabled = property(lambda self: self.enable_performance_insights)


def give_replicas_their_own_place() -> None:
    """Mend rds:CreateDBInstanceReadReplica: moto's copy keeps the primary's id, region and tags.

    So its subnet group is looked up in the wrong region, and the provider reads the primary in its place.
    """
    create = RDSBackend.create_db_instance_read_replica

    @functools.wraps(create)
    def create_in_this_region(self: RDSBackend, db_kwargs: dict[str, Any]) -> DBInstance:
        placed = {"backend": self, "tags": [], "dbi_resource_id": _new_dbi_resource_id(), **db_kwargs}
        return create(self, placed)

    RDSBackend.create_db_instance_read_replica = create_in_this_region


def forget_replicas_by_either_name() -> None:
    """Mend rds:DeleteDBInstance of a cross-region replica (HTTP 500): it is listed by ARN, moto removes by name."""

    def remove_replica(self: DBInstance, replica: DBInstance) -> None:
        names = (replica.db_instance_identifier, replica.db_instance_arn)
        self.replicas = [name for name in self.replicas if name not in names]

    DBInstance.remove_replica = remove_replica


def release_promoted_replicas() -> None:
    """Mend rds:PromoteReadReplica: moto's promoted replica still names its source, and its source lists it."""
    promote = RDSBackend.promote_read_replica

    @functools.wraps(promote)
    def promote_and_release(self: RDSBackend, db_kwargs: dict[str, Any]) -> DBInstance:
        replica = self.databases.get(db_kwargs["db_instance_identifier"])
        source = replica.source_db_instance_identifier if replica and replica.is_replica else None
        promoted = promote(self, db_kwargs)
        if source:
            self.find_db_from_id(source).remove_replica(promoted)
            promoted.source_db_instance_identifier = None
        return promoted

    RDSBackend.promote_read_replica = promote_and_release


def skip_conditional_denials() -> None:
    """Mend every s3 object call: moto knows no request context, so it denies what a TLS-only bucket policy allows."""
    judge = IAMPolicyStatement.is_action_permitted

    @functools.wraps(judge)
    def judge_unconditional(self: IAMPolicyStatement, *args: Any, **kwargs: Any) -> PermissionResult:
        if self._statement["Effect"] == "Deny" and "Condition" in self._statement:
            return PermissionResult.NEUTRAL
        return judge(self, *args, **kwargs)

    IAMPolicyStatement.is_action_permitted = judge_unconditional


def take_copies_into_locked_buckets() -> None:
    """Mend s3:CopyObject into a bucket with a retention: moto asks for the checksum of a body, and a copy has none."""
    put = S3Response._key_response_put

    @functools.wraps(put)
    def put_or_copy(self: S3Response, query: dict[str, Any], key_name: str) -> Any:
        if "x-amz-copy-source" in self.headers:
            self.headers = Headers([*self.headers.items(), ("Content-MD5", "none")])
        return put(self, query, key_name)

    S3Response._key_response_put = put_or_copy


def keep_replication_rules() -> None:
    """Mend s3:GetBucketReplication: moto answers fixed filters and delete markers, not the rules that were put."""
    read = S3Response.get_bucket_replication

    @functools.wraps(read)
    def read_as_put(self: S3Response) -> Any:
        put = self.backend.get_bucket_replication(self.bucket_name)
        if not put:
            return read(self)
        self.data["Action"] = "GetBucketReplication"
        rules = [rule | {"Filter": rule.get("Filter") or {"Prefix": ""}} for rule in put["Rule"]]
        configuration = {"Role": put["Role"], "Rules": rules}
        return self.serialized(ActionResult({"ReplicationConfiguration": configuration}))

    S3Response.get_bucket_replication = read_as_put


def answer_redrive_policies_as_put() -> None:
    """Mend sqs:GetQueueAttributes: moto forgets RedriveAllowPolicy and puts spaces into RedrivePolicy.

    The first makes Terraform wait for ever, the second is a change in every plan.
    """
    Queue.BASE_ATTRIBUTES = [*Queue.BASE_ATTRIBUTES, "RedriveAllowPolicy"]
    Queue.redrive_allow_policy = None
    read = Queue.attributes.fget

    def compact(self: Queue) -> dict[str, Any]:
        answer = read(self)
        if self.redrive_policy:
            answer["RedrivePolicy"] = json.dumps(self.redrive_policy, separators=(",", ":"))
        return answer

    Queue.attributes = property(compact)


def remember_eks_choices() -> None:
    """Mend eks:DescribeCluster and DescribeNodegroup: moto drops accessConfig and updateConfig, a change each plan."""
    create_cluster, create_nodegroup = EKSResponse.create_cluster, EKSResponse.create_nodegroup

    @functools.wraps(create_cluster)
    def create_cluster_with_access(self: EKSResponse) -> ActionResult:
        answer = create_cluster(self)
        answer.result["cluster"].access_config = self._get_param("accessConfig")
        return answer

    @functools.wraps(create_nodegroup)
    def create_nodegroup_with_updates(self: EKSResponse) -> ActionResult:
        answer = create_nodegroup(self)
        answer.result["nodegroup"].update_config = self._get_param("updateConfig")
        return answer

    EKSResponse.create_cluster = create_cluster_with_access
    EKSResponse.create_nodegroup = create_nodegroup_with_updates


def move_node_groups_to_new_templates() -> None:
    """Mend eks:UpdateNodegroupVersion and DescribeUpdate: moto knows neither, and a resize changes the template.

    As all of moto's changes, the update has succeeded when it is answered.
    """
    group = "{0}/clusters/(?P<name>[^/]+)/node-groups/(?P<nodegroupName>[^/]+)"
    eks_urls.url_paths[f"{group}/update-version$"] = eks_urls.response.dispatch
    eks_urls.url_paths["{0}/clusters/(?P<name>[^/]+)/updates/(?P<updateId>[^/]+)$"] = eks_urls.response.dispatch

    def update_nodegroup_version(self: EKSResponse) -> ActionResult:
        names = self._get_param("name"), self._get_param("nodegroupName")
        nodegroup = self.eks_backend.describe_nodegroup(*names)
        nodegroup.launch_template = {**(nodegroup.launch_template or {}), **(self._get_param("launchTemplate") or {})}
        nodegroup.version = self._get_param("version") or nodegroup.version
        nodegroup.release_version = self._get_param("releaseVersion") or nodegroup.release_version
        return _answer_update(secrets.token_hex(16), "VersionUpdate")

    def describe_update(self: EKSResponse) -> ActionResult:
        return _answer_update(self._get_param("updateId"), "ConfigUpdate")

    EKSResponse.update_nodegroup_version = update_nodegroup_version
    EKSResponse.describe_update = describe_update


def _answer_update(update_id: str, kind: str) -> ActionResult:
    return ActionResult({"update": {"id": update_id, "status": "Successful", "type": kind, "params": [], "errors": []}})


def leave_node_groups_without_ssh() -> None:
    """Mend eks:CreateNodegroup: moto invents an SSH key for a group that asked for none, a change in every plan."""
    eks.DEFAULT_REMOTE_ACCESS = None


def keep_template_tags_out_of_instances() -> None:
    """Mend ec2:CreateLaunchTemplate: moto writes the template's own tags into the tags of what it launches."""

    def drop(version: LaunchTemplateVersion, _: dict[str, Any]) -> None:
        kept = [spec for spec in version.data.get("TagSpecifications", []) if spec["ResourceType"] != "launch-template"]
        version.data["TagSpecifications"] = kept

    _run_after_making(LaunchTemplateVersion, drop)


def remove_interfaces_of_nat_gateways() -> None:
    """Mend ec2:DeleteNatGateway: moto keeps the network interface that it made for the gateway."""
    delete = NatGatewayBackend.delete_nat_gateway

    @functools.wraps(delete)
    def delete_both(self: NatGatewayBackend, nat_gateway_id: str) -> NatGateway:
        gateway = delete(self, nat_gateway_id)
        self.enis.pop(gateway._eni.id, None)
        return gateway

    NatGatewayBackend.delete_nat_gateway = delete_both


def _run_after_making(cls: type, act: Callable[[Any, dict[str, Any]], None]) -> None:
    original = cls.__init__

    @functools.wraps(original)
    def make(self: Any, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **kwargs)
        act(self, kwargs)

    cls.__init__ = make


def _new_dbi_resource_id() -> str:
    letters = string.ascii_uppercase + string.digits
    return "db-" + "".join(secrets.choice(letters) for _ in range(26))
