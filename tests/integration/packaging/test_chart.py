"""The Helm chart as helm reads and renders it, against Kubernetes' own schemas, where these programs are installed."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]  # PyYAML has no types of its own

from shared.settings import SECRETS_FOLDER
from tests.unit.deploy.roles import ROOT

_HELM = ROOT / "deploy/helm"
_CHART = _HELM / "replyco"
_ROLES = ("connector", "connector-worker", "mail-worker", "relay")
_OLDEST = re.findall(
    r'^kubeVersion: ">=(\d+\.\d+)\.0-0"$', (_CHART / "Chart.yaml").read_text("utf-8"), re.MULTILINE
)
_VERSIONS = [*_OLDEST, "1.31", "1.34"]
# What Prometheus' operator brings, and no schema of Kubernetes knows.
_OPERATORS = {"PodMonitor", "PrometheusRule"}

Helm = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def helm(tmp_path: Path) -> Helm:
    """Runs helm with a home of its own. Its output is text."""
    program = shutil.which("helm")
    if program is None:
        pytest.skip("helm is not installed")

    def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [program, *arguments, "--values", str(_HELM / "examples/values.yaml")],
            env={"PATH": os.defpath, "HOME": str(tmp_path)}, check=False, capture_output=True, text=True,
        )  # fmt: skip

    return run


def _rendered(helm: Helm, *arguments: str, version: str = "1.31") -> str:
    done = helm("template", "replyco", str(_CHART), "--kube-version", f"{version}.0", *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _documents(text: str) -> list[dict[str, Any]]:
    return [each for each in yaml.safe_load_all(text) if each]


def test_helm_finds_nothing_to_warn_of(helm: Helm):
    done = helm("lint", "--strict", str(_CHART))

    assert done.returncode == 0, done.stdout
    assert "[WARNING]" not in done.stdout


@pytest.mark.parametrize("version", _VERSIONS)
def test_kubernetes_knows_every_field_that_is_rendered(helm: Helm, version: str, tmp_path: Path):
    schemas = shutil.which("kubeconform") or shutil.which("kubernetes-validate")
    if schemas is None:
        pytest.skip("neither kubeconform nor kubernetes-validate is installed")
    manifests = tmp_path / "manifests.yaml"
    text = _rendered(helm, version=version)
    known = [each for each in _documents(text) if each["kind"] not in _OPERATORS]
    manifests.write_text(yaml.safe_dump_all(known))
    strict = {
        "kubeconform": ["-strict", "-summary", "-kubernetes-version", f"{version}.0"],
        "kubernetes-validate": ["--strict", "--kubernetes-version", version],
    }[Path(schemas).name]

    done = subprocess.run([schemas, *strict, manifests], check=False, capture_output=True, text=True)

    assert done.returncode == 0, done.stdout + done.stderr
    # None was passed over for want of a schema.
    assert "find schema" not in done.stdout + done.stderr
    if Path(schemas).name == "kubernetes-validate":
        assert (done.stdout + done.stderr).count("passed for resource") == len(known)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("image.name=registry.example/replyco:latest", "image"),
        ("roles.relay.replica=3", "replica"),
        ("roles.relay.settings.REPLYCO_DATABASE_URL=postgresql://", "REPLYCO_DATABASE_URL"),
        ("roles.connector.settings.REPLYCO_PUBLIC_URL=", "REPLYCO_PUBLIC_URL of connector"),
        ("roles.relay.maxReplicas=1", "roles.relay: maxReplicas is less than replicas"),
        ("ingress.host=", "ingress.host"),
    ],
)
def test_helm_refuses_wrong_values_and_names_them(helm: Helm, wrong: str, said: str):
    done = helm("template", "replyco", str(_CHART), "--kube-version", "1.31.0", "--set", wrong)

    assert done.returncode != 0
    assert said in done.stderr


def test_a_role_whose_number_is_fixed_has_that_number(helm: Helm):
    documents = _documents(_rendered(helm, "--set", "roles.relay.maxReplicas=2"))

    scaled = {each["metadata"]["name"] for each in documents if each["kind"] == "HorizontalPodAutoscaler"}
    replicas = {
        each["metadata"]["name"]: each["spec"].get("replicas")
        for each in documents
        if each["kind"] == "Deployment"
    }
    assert scaled == {"replyco-connector", "replyco-mail-worker"}
    assert replicas == {
        "replyco-connector": None,
        "replyco-connector-worker": 2,
        "replyco-mail-worker": None,
        "replyco-relay": 2,
    }


def test_what_is_rendered_is_hardened_and_complete(helm: Helm):
    documents = _documents(_rendered(helm))

    workloads = [each for each in documents if each["kind"] in {"Deployment", "Job"}]
    assert {each["metadata"]["name"] for each in workloads} == {
        *(f"replyco-{role}" for role in _ROLES),
        "replyco-migrations",
    }
    for workload in workloads:
        pod = workload["spec"]["template"]["spec"]
        (container,) = pod["containers"]
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["automountServiceAccountToken"] is False
        # A value of a Secret is in no variable, where whoever sees the pod's description may read it.
        assert "secretKeyRef" not in json.dumps(pod)
        variables = {each["name"]: each.get("value") for each in container["env"]}
        assert variables[SECRETS_FOLDER] == "/run/secrets/replyco"
    (job,) = (each for each in workloads if each["kind"] == "Job")
    assert job["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"
    kinds = [each["kind"] for each in documents]
    assert kinds.count("NetworkPolicy") == kinds.count("PodDisruptionBudget") == len(_ROLES)
    assert kinds.count("HorizontalPodAutoscaler") == 3
    (rule,) = (each for each in documents if each["kind"] == "PrometheusRule")
    assert rule["spec"] == yaml.safe_load((ROOT / "deploy/alerts/replyco.yaml").read_text("utf-8"))
    (dashboards,) = (each for each in documents if each["kind"] == "ConfigMap")
    assert dashboards["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert dashboards["data"] == {
        file.name: file.read_text("utf-8") for file in (ROOT / "deploy/dashboards").glob("*.json")
    }


@pytest.mark.parametrize("role", _ROLES)
def test_a_roles_pods_have_the_variables_of_the_values(helm: Helm, role: str):
    values = yaml.safe_load((_CHART / "values.yaml").read_text("utf-8"))
    chosen = yaml.safe_load((_HELM / "examples/values.yaml").read_text("utf-8"))
    expected = {SECRETS_FOLDER: "/run/secrets/replyco", "REPLYCO_SIDE_HOST": None}
    settings_of = {"connector-worker": ("connector", "connector-worker")}.get(role, (role,))
    for given in (values, chosen):
        expected |= given["settings"]
        for each in settings_of:
            expected |= given["roles"].get(each, {}).get("settings", {})
    if role == "connector-worker":
        expected.pop("REPLYCO_HOST")
    documents = _documents(_rendered(helm))

    (deployment,) = (
        each for each in documents
        if each["kind"] == "Deployment" and each["metadata"]["name"] == f"replyco-{role}"
    )  # fmt: skip
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert {each["name"]: each.get("value") for each in container["env"]} == expected
