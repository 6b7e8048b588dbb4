"""References to secrets, looked up by the real flows in the local Vault and in the emulator's Secrets Manager."""

from pathlib import Path

from tests.flow_world import World


def test_a_missing_reference_fails_a_plan_by_name(openbao: Path, world: World, name: str) -> None:
    """Every reference that cannot be read is told with its way out, before a step; what is there is not told."""
    assert openbao
    path = f"canary/{name}"
    world.account.client("secretsmanager").create_secret(Name=f"{path}/there", SecretString="x")
    missing = {
        "in-vault": {"backend": "vault", "path": f"{path}/gone"},
        "in-manager": {"backend": "secrets-manager", "path": f"{path}/gone"},
        "old": {"backend": "secrets-manager", "path": f"{path}/there", "version": "previous"},
    }
    there = {"there": {"backend": "secrets-manager", "path": f"{path}/there", "version": "current"}}
    before = world.observe(name)
    version = world.add_spec(name, secrets=missing | there)
    for word in ("plan", "provision"):
        run = world.run(word, name, version)
        assert (run.status, world.steps(run.run_id), world.observe(name)) == ("failed", [], before)
        assert f"secret in-vault (vault, {path}/gone, newest version) is not there" in run.error
        assert f"secret in-manager (secrets-manager, {path}/gone, newest version) is not there" in run.error
        assert f"secret old (secrets-manager, {path}/there, version previous) has no such version" in run.error
        assert "secret there" not in run.error
        assert run.report is not None
        assert "put-secret-value" in run.report["resolution"]
    mended = world.run("provision", name, world.add_spec(name, secrets=there))
    assert (mended.status, mended.environment_status) == ("succeeded", "ready")


def test_what_the_environment_makes_is_not_missing(world: World, name: str) -> None:
    """Its own secrets, also by their path in Secrets Manager, are not there before the first apply."""
    own = {
        "session-key": {"backend": "environment"},
        "database-password": {"backend": "secrets-manager", "path": f"terrarium/{name}/database-g1"},
    }
    assert world.run("plan", name, world.add_spec(name, secrets=own)).status == "succeeded"
