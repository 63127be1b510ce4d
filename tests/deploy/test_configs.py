"""The cluster files, against Ray's own checks and against an AWS that is moto's."""

from __future__ import annotations

import copy
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from tests.support.paths import ROOT

LAUNCHER = ("cluster.yaml", "deploy/onprem.yaml")


def read(name: str) -> dict[str, Any]:
    return yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))


def check(config: dict[str, Any]) -> dict[str, Any]:
    from ray.autoscaler._private.util import prepare_config, validate_config

    prepared = prepare_config(copy.deepcopy(config))
    validate_config(prepared)
    return prepared


@pytest.mark.parametrize("name", LAUNCHER)
def test_ray_takes_the_file(name: str) -> None:
    assert check(read(name))["cluster_name"].startswith("genre-search")


@pytest.mark.parametrize("name", LAUNCHER)
def test_the_check_finds_a_misspelt_key(name: str) -> None:
    from jsonschema import ValidationError

    with pytest.raises(ValidationError, match="idle_timeout_minute"):
        check({**read(name), "idle_timeout_minute": 5})


@pytest.mark.parametrize("name", LAUNCHER)
def test_nothing_listens_in_public_and_every_call_shows_the_token(name: str) -> None:
    config = read(name)
    head = " ".join(config["head_start_ray_commands"])
    assert "--dashboard-host=127.0.0.1" in head
    assert any("RAY_AUTH_MODE=token" in command for command in config["setup_commands"])
    assert "~/.ray/auth_token" in config["file_mounts"]
    assert "0.0.0.0" not in (ROOT / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", LAUNCHER)
def test_nodes_install_the_locked_versions(name: str) -> None:
    config = read(name)
    commands = [
        command
        for key in ("setup_commands", "head_setup_commands", "worker_setup_commands")
        for command in config.get(key, [])
    ]
    assert any("make venv" in command for command in commands)
    for command in commands:
        if "pip install" in command:
            assert "--constraint requirements" in command


def test_workers_on_aws_are_spot_first_and_leave_when_idle() -> None:
    config = read("cluster.yaml")
    types = config["available_node_types"]
    assert types["head"]["resources"] == {"CPU": 0, "GPU": 0}
    spot, on_demand = types["gpu_spot"], types["gpu_on_demand"]
    assert spot["node_config"]["InstanceMarketOptions"] == {"MarketType": "spot"}
    assert "InstanceMarketOptions" not in on_demand["node_config"]
    assert spot["priority"] > on_demand["priority"]
    assert spot["node_config"]["InstanceType"] == on_demand["node_config"]["InstanceType"]
    for workers in (spot, on_demand):
        assert workers["min_workers"] == 0
        assert workers["max_workers"] <= config["max_workers"]
        assert "IamInstanceProfile" in workers["node_config"]
    assert config["idle_timeout_minutes"] <= 10


def launch(made: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Start a node of each type as ``ray up`` and its autoscaler do; give the instances by type."""
    import boto3
    from ray.autoscaler import tags
    from ray.autoscaler._private.aws.node_provider import AWSNodeProvider

    provider = AWSNodeProvider(made["provider"], made["cluster_name"])
    for name, kind in made["available_node_types"].items():
        is_head = name == made["head_node_type"]
        config = {**(made["head_node"] if is_head else {}), **kind["node_config"]}
        marks = {
            tags.TAG_RAY_NODE_NAME: name,
            tags.TAG_RAY_NODE_KIND: tags.NODE_KIND_HEAD if is_head else tags.NODE_KIND_WORKER,
            tags.TAG_RAY_NODE_STATUS: tags.STATUS_UNINITIALIZED,
            tags.TAG_RAY_USER_NODE_TYPE: name,
            tags.TAG_RAY_LAUNCH_CONFIG: "any",
        }
        provider.create_node(copy.deepcopy(config), marks, 1)
    found = {}
    for reservation in boto3.client("ec2").describe_instances()["Reservations"]:
        for instance in reservation["Instances"]:
            told = {tag["Key"]: tag["Value"] for tag in instance["Tags"]}
            found[told[tags.TAG_RAY_USER_NODE_TYPE]] = {**instance, "Tags": told}
    return found


def test_ray_up_prepares_an_aws_account_and_starts_instances(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As far as it goes without machines that answer: role, key, group, subnets, resources, instances."""
    import boto3
    from moto import mock_aws

    for name, value in {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "MOTO_IAM_LOAD_MANAGED_POLICIES": "true",
        "HOME": str(tmp_path),
    }.items():
        monkeypatch.setenv(name, value)
    (tmp_path / ".ssh").mkdir()
    with mock_aws():
        from ray.autoscaler._private.aws import config as aws
        from ray.autoscaler._private.aws import utils
        from ray.autoscaler._private.aws.node_provider import AWSNodeProvider

        # Boto's clients are kept by Ray: none from outside the mock, and none of the mock's afterwards.
        caches = (utils.resource_cache, utils.client_cache)
        for cache in caches:
            cache.cache_clear()
        monkeypatch.setattr(aws.time, "sleep", lambda _: None)
        made = aws.bootstrap_aws(check(read("cluster.yaml")))
        made = AWSNodeProvider.fillout_available_node_types_resources(made)
        group = [
            one
            for one in boto3.client("ec2").describe_security_groups()["SecurityGroups"]
            if one["GroupName"] == "genre-search"
        ]
        instances = launch(made)
        iam = boto3.client("iam")
        iam.put_role_policy(
            RoleName="ray-autoscaler-v1",
            PolicyName="genre-search",
            PolicyDocument=(ROOT / "deploy/aws-policy.json").read_text(encoding="utf-8"),
        )
        granted = iam.get_role_policy(RoleName="ray-autoscaler-v1", PolicyName="genre-search")
        for cache in caches:
            cache.cache_clear()

    # Workers get the head's role, which it may give only by this.
    passed = granted["PolicyDocument"]["Statement"][0]
    assert (passed["Action"], passed["Resource"]) == ("iam:PassRole", "arn:aws:iam::*:role/ray-autoscaler-v1")

    assert len(group) == 1
    open_to_all = [rule for rule in group[0]["IpPermissions"] if rule["IpRanges"]]
    assert [(rule["FromPort"], rule["ToPort"]) for rule in open_to_all] == [(22, 22)]
    types = made["available_node_types"]
    for node in types.values():
        assert node["node_config"]["SubnetIds"]
        assert node["node_config"]["SecurityGroupIds"] == [group[0]["GroupId"]]
    assert types["gpu_spot"]["resources"] == {**types["gpu_spot"]["resources"], "CPU": 4, "GPU": 1}

    assert set(instances) == {"head", "gpu_spot", "gpu_on_demand"}
    market = {name: one.get("InstanceLifecycle") for name, one in instances.items()}
    assert market == {"head": None, "gpu_spot": "spot", "gpu_on_demand": None}
    for name, one in instances.items():
        assert one["InstanceType"] == types[name]["node_config"]["InstanceType"]
        assert one["IamInstanceProfile"]["Arn"].endswith("/ray-autoscaler-v1"), name
        assert [each["GroupName"] for each in one["SecurityGroups"]] == ["genre-search"]
        assert one["KeyName"] == "ray-autoscaler_us-east-1"
        assert one["MetadataOptions"]["HttpTokens"] == "required"
        assert (one["Tags"]["project"], one["Tags"]["ray-cluster-name"]) == ("genre-search", "genre-search")


def test_slurm_script_is_sound_shell() -> None:
    done = subprocess.run(
        ["bash", "-n", str(ROOT / "deploy/slurm.sh")], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_serving_image_runs_without_root_and_with_options_that_exist() -> None:
    from results.serve import main

    lines = (ROOT / "deploy/serve.Dockerfile").read_text(encoding="utf-8").splitlines()
    user, command = lines.index("USER listener"), next(line for line in lines if line.startswith("CMD"))
    assert user < lines.index(command)
    program, subcommand, *arguments = json.loads(command.removeprefix("CMD "))
    assert (program, subcommand) == ("genre-search", "serve")
    assert main.make_context("serve", arguments).params["host"] == "0.0.0.0"
