"""The cluster files, checked by Ray's own validation and against a simulated AWS (moto)."""

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
def test_ray_accepts_the_file(name: str) -> None:
    assert check(read(name))["cluster_name"].startswith("genre-search")


@pytest.mark.parametrize("name", LAUNCHER)
def test_the_check_finds_a_misspelt_key(name: str) -> None:
    from jsonschema import ValidationError

    with pytest.raises(ValidationError, match="idle_timeout_minute"):
        check({**read(name), "idle_timeout_minute": 5})


@pytest.mark.parametrize("name", LAUNCHER)
def test_nothing_listens_publicly_and_every_call_needs_the_token(name: str) -> None:
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


def test_workers_on_aws_prefer_spot_instances_and_stop_when_idle() -> None:
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


def launch(config: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Start a node of each type as ``ray up`` and its autoscaler do; return the instances by type."""
    import boto3
    from ray.autoscaler import tags
    from ray.autoscaler._private.aws.node_provider import AWSNodeProvider

    provider = AWSNodeProvider(config["provider"], config["cluster_name"])
    for name, node_type in config["available_node_types"].items():
        is_head = name == config["head_node_type"]
        node_config = {**(config["head_node"] if is_head else {}), **node_type["node_config"]}
        node_tags = {
            tags.TAG_RAY_NODE_NAME: name,
            tags.TAG_RAY_NODE_KIND: tags.NODE_KIND_HEAD if is_head else tags.NODE_KIND_WORKER,
            tags.TAG_RAY_NODE_STATUS: tags.STATUS_UNINITIALIZED,
            tags.TAG_RAY_USER_NODE_TYPE: name,
            tags.TAG_RAY_LAUNCH_CONFIG: "any",
        }
        provider.create_node(copy.deepcopy(node_config), node_tags, 1)
    instances = {}
    for reservation in boto3.client("ec2").describe_instances()["Reservations"]:
        for instance in reservation["Instances"]:
            instance_tags = {tag["Key"]: tag["Value"] for tag in instance["Tags"]}
            instances[instance_tags[tags.TAG_RAY_USER_NODE_TYPE]] = {**instance, "Tags": instance_tags}
    return instances


def test_ray_up_prepares_an_aws_account_and_starts_instances(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Everything that needs no reachable machines: role, key, group, subnets, resources, instances."""
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

        # Ray caches boto's clients; those from inside and outside of the mock must not be mixed.
        caches = (utils.resource_cache, utils.client_cache)
        for cache in caches:
            cache.cache_clear()
        monkeypatch.setattr(aws.time, "sleep", lambda _: None)
        config = aws.bootstrap_aws(check(read("cluster.yaml")))
        config = AWSNodeProvider.fillout_available_node_types_resources(config)
        groups = [
            group
            for group in boto3.client("ec2").describe_security_groups()["SecurityGroups"]
            if group["GroupName"] == "genre-search"
        ]
        instances = launch(config)
        iam = boto3.client("iam")
        iam.put_role_policy(
            RoleName="ray-autoscaler-v1",
            PolicyName="genre-search",
            PolicyDocument=(ROOT / "deploy/aws-policy.json").read_text(encoding="utf-8"),
        )
        granted = iam.get_role_policy(RoleName="ray-autoscaler-v1", PolicyName="genre-search")
        for cache in caches:
            cache.cache_clear()

    # Without this permission the head could not give the workers its role.
    statement = granted["PolicyDocument"]["Statement"][0]
    assert (statement["Action"], statement["Resource"]) == (
        "iam:PassRole",
        "arn:aws:iam::*:role/ray-autoscaler-v1",
    )

    assert len(groups) == 1
    open_to_all = [rule for rule in groups[0]["IpPermissions"] if rule["IpRanges"]]
    assert [(rule["FromPort"], rule["ToPort"]) for rule in open_to_all] == [(22, 22)]
    types = config["available_node_types"]
    for node in types.values():
        assert node["node_config"]["SubnetIds"]
        assert node["node_config"]["SecurityGroupIds"] == [groups[0]["GroupId"]]
    assert types["gpu_spot"]["resources"] == {**types["gpu_spot"]["resources"], "CPU": 4, "GPU": 1}

    assert set(instances) == {"head", "gpu_spot", "gpu_on_demand"}
    lifecycles = {name: instance.get("InstanceLifecycle") for name, instance in instances.items()}
    assert lifecycles == {"head": None, "gpu_spot": "spot", "gpu_on_demand": None}
    for name, instance in instances.items():
        assert instance["InstanceType"] == types[name]["node_config"]["InstanceType"]
        assert instance["IamInstanceProfile"]["Arn"].endswith("/ray-autoscaler-v1"), name
        assert [group["GroupName"] for group in instance["SecurityGroups"]] == ["genre-search"]
        assert instance["KeyName"] == "ray-autoscaler_us-east-1"
        assert instance["MetadataOptions"]["HttpTokens"] == "required"
        assert (instance["Tags"]["project"], instance["Tags"]["ray-cluster-name"]) == (
            "genre-search",
            "genre-search",
        )


def test_the_slurm_script_is_valid_shell() -> None:
    process = subprocess.run(
        ["bash", "-n", str(ROOT / "deploy/slurm.sh")], capture_output=True, text=True, check=False
    )
    assert (process.returncode, process.stderr) == (0, "")


def test_the_serving_image_runs_without_root_and_with_options_that_exist() -> None:
    from results.serve import main

    lines = (ROOT / "deploy/serve.Dockerfile").read_text(encoding="utf-8").splitlines()
    user, command = lines.index("USER listener"), next(line for line in lines if line.startswith("CMD"))
    assert user < lines.index(command)
    program, subcommand, *arguments = json.loads(command.removeprefix("CMD "))
    assert (program, subcommand) == ("genre-search", "serve")
    assert main.make_context("serve", arguments).params["host"] == "0.0.0.0"
