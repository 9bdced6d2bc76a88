"""Content of packages: the golden one, and configurations that are refused before."""

import copy
import difflib
import json
import re
from contextlib import nullcontext
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner
from kfp import components

from components.raster.errors import ConfigError
from pipelines.cli.compile import command
from pipelines.config.tree import PipelineConfig, load_config, parse_config
from pipelines.definition.resolve import RunInputs
from pipelines.kubeflow.compile.package import compile_package, vertex_job
from pipelines.kubeflow.compile.vertex import require_vertex_names
from pipelines.kubeflow.contract.strict import strict_job, strict_spec
from pipelines.kubeflow.step.prepare import prepared_properties

GOLDEN = Path("tests/golden")
RENEW = (
    "python -m pipelines.cli compile -c tests/golden/kubeflow.yaml "
    "-o tests/golden/kubeflow_package.yaml"
)


@pytest.fixture(scope="module")
def tree(repository: Path) -> dict:
    return yaml.safe_load((repository / GOLDEN / "kubeflow.yaml").read_text())


@pytest.fixture(scope="module")
def text(repository: Path) -> str:
    return compile_package(load_config(str(repository / GOLDEN / "kubeflow.yaml"))).to_yaml()


@pytest.fixture(scope="module")
def spec(text: str) -> dict:
    return next(iter(yaml.safe_load_all(text)))


@pytest.fixture(scope="module")
def pods(text: str) -> dict:
    _, platform = yaml.safe_load_all(text)
    return platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]


def changed(tree: dict, **kubeflow: object) -> PipelineConfig:
    tree = copy.deepcopy(tree)
    tree["kubeflow"].update(kubeflow)
    return parse_config(tree, "/")


def test_the_package_is_the_golden_one(text: str, repository: Path) -> None:
    wanted = (repository / GOLDEN / "kubeflow_package.yaml").read_text()
    lines = difflib.unified_diff(
        wanted.splitlines(), text.splitlines(), "golden", "compiled", lineterm="", n=2
    )
    assert text == wanted, "\n".join(["", *lines, "", f"If that is meant, renew it: {RENEW}"])


def test_kubeflows_own_sdk_reads_it_with_its_parameters(text: str) -> None:
    loaded = components.load_component_from_text(text)
    inputs = loaded.component_spec.inputs
    assert set(inputs) == {
        "data_location",
        "data_fingerprint",
        "span",
        "push_destination",
        "epochs",
        "steps_per_epoch",
    }
    assert inputs["data_location"].default == "s3://imagery/land-cover"
    assert inputs["epochs"].default == 25


def test_a_network_that_nothing_has_is_refused_before_there_is_a_package(tree: dict) -> None:
    misspelt = {"kind": "backbone", "name": "MobileNet2"}
    config = parse_config({**tree, "train": {"model": misspelt}}, "/")
    with pytest.raises(ConfigError, match=r"'MobileNet2'.*MobileNetV2"):
        compile_package(config)


def test_nothing_is_left_of_what_the_backend_rejects_or_ignores(text: str) -> None:
    for word in ("pipelineSpec", "constantValue", "lifecycle", "instanceSchema", "resolver"):
        assert f"{word}:" not in text
    assert "tfx.orchestration" not in text


def test_every_edge_of_an_input_is_a_dependency_and_every_name_fits(spec: dict) -> None:
    tasks = spec["root"]["dag"]["tasks"]
    assert len(tasks) == 17
    for name, task in tasks.items():
        assert task["taskInfo"]["name"] == name
        assert task["componentRef"]["name"] == f"comp-{name}"
        assert spec["components"][f"comp-{name}"]["executorLabel"] == f"exec-{name}"
        edges = [
            edge
            for kind in task.get("inputs", {}).values()
            for one in kind.values()
            for edge in one.values()
            if isinstance(edge, dict) and "producerTask" in edge
        ]
        assert {edge["producerTask"] for edge in edges} <= set(task.get("dependentTasks", []))
        for edge in edges:
            outputs = spec["components"][f"comp-{edge['producerTask']}"]["outputDefinitions"]
            if "outputArtifactKey" in edge:
                assert edge["outputArtifactKey"] in outputs["artifacts"]
            else:
                assert edge["outputParameterKey"] in outputs["parameters"]
    assert set(tasks["ingest"]["dependentTasks"]) == {"prepare", "stop-on-inputs"}
    assert "retryPolicy" in tasks["prepare"]
    assert "retryPolicy" not in tasks["stop-on-inputs"]
    after = {name for name, task in tasks.items() if "prepare" in task.get("dependentTasks", [])}
    assert all(
        "stop-on-inputs" in tasks[name]["dependentTasks"] for name in after - {"stop-on-inputs"}
    )
    assert "stop-on-rejects" in tasks["statistics"]["dependentTasks"]
    assert "stop-on-answers" in tasks["push"]["dependentTasks"]


def test_only_what_depends_on_its_inputs_alone_is_cached(spec: dict) -> None:
    tasks = spec["root"]["dag"]["tasks"]
    uncached = {name for name, task in tasks.items() if not task["cachingOptions"]}
    assert uncached == {"prepare", "stop-on-inputs", "baseline", "push", "infra-check"}
    fingerprint = tasks["ingest"]["inputs"]["parameters"]["fingerprint"]
    assert fingerprint == {
        "taskOutputParameter": {"producerTask": "prepare", "outputParameterKey": "fingerprint"}
    }


def test_a_step_gets_its_own_values_over_those_of_all(spec: dict, pods: dict) -> None:
    containers = {k: v["container"] for k, v in spec["deploymentSpec"]["executors"].items()}
    assert containers["exec-trainer"]["resources"] == {
        "resourceCpuRequest": "500m",
        "resourceCpuLimit": "2",
        "resourceMemoryRequest": "2Gi",
        "resourceMemoryLimit": "32Gi",
        "accelerator": {"resourceType": "nvidia.com/gpu", "resourceCount": "1"},
    }
    assert "accelerator" not in containers["exec-ingest"]["resources"]
    assert containers["exec-trainer"]["image"] == "registry.example/skymill/trainer:1.4.2"
    assert pods["exec-trainer"]["activeDeadlineSeconds"] == "86400"
    assert pods["exec-ingest"]["activeDeadlineSeconds"] == "7200"
    assert "nodeSelector" not in pods["exec-ingest"]
    tasks = spec["root"]["dag"]["tasks"]
    assert tasks["ingest"]["retryPolicy"]["backoffDuration"] == "60s"
    assert tasks["trainer"]["retryPolicy"]["backoffDuration"] == "30s"
    assert not any("retryPolicy" in task for name, task in tasks.items() if "stop-on" in name)


@pytest.mark.parametrize(
    ("image", "fits"),
    [
        ("registry:5000/a/b:1.2.3", True),
        ("a@sha256:" + "c" * 64, True),
        ("registry:5000/a/b", False),
        ("a:latest", False),
        ("a:Nightly", False),
        ("a@sha256:abc", False),
        ("", False),
    ],
)
def test_an_image_that_can_change_is_refused(tree: dict, image: str, fits: bool) -> None:
    steps = {**tree["kubeflow"]["steps"], "image": image}
    if fits:
        compile_package(changed(tree, steps=steps))
        return
    with pytest.raises(ConfigError, match="image"):
        compile_package(changed(tree, steps=steps))


def test_a_mutable_image_that_is_insisted_on_is_never_cached(tree: dict) -> None:
    steps = {**tree["kubeflow"]["steps"], "image": "a:latest"}
    package = compile_package(changed(tree, steps=steps, mutable_images=["a:latest"]))
    tasks = package.spec["root"]["dag"]["tasks"]
    assert {name for name, task in tasks.items() if task["cachingOptions"]} == {"trainer"}


V5E = {"accelerator": "tpu-v5-lite-podslice", "topology": "2x4"}


def test_a_tpu_is_a_resource_with_the_labels_of_its_nodes(tree: dict) -> None:
    """The keys and values that GKE's own examples have, for one host of eight chips."""
    steps = {**tree["kubeflow"]["steps"], "accelerator": {"count": 1}}
    trainer = {"tpu": V5E, "node_selector": {"pool": "tpu"}}
    package = compile_package(changed(tree, steps=steps, nodes={"Trainer": trainer}))
    executors = package.spec["deploymentSpec"]["executors"]
    container = executors["exec-trainer"]["container"]
    assert container["resources"]["accelerator"] == {
        "resourceType": "google.com/tpu",
        "resourceCount": "8",
    }
    assert {"name": "TPU_NAME", "value": "local"} in container["env"]
    pods = package.platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    assert pods["exec-trainer"]["nodeSelector"]["labels"] == {
        "pool": "tpu",
        "cloud.google.com/gke-tpu-accelerator": "tpu-v5-lite-podslice",
        "cloud.google.com/gke-tpu-topology": "2x4",
    }
    other = executors["exec-ingest"]["container"]["resources"]["accelerator"]
    assert other["resourceType"] == "nvidia.com/gpu"


@pytest.mark.parametrize(
    ("trainer", "message"),
    [
        ({"tpu": {**V5E, "topology": "4x4"}}, "4x4 spans several hosts: one has up to 8 chips"),
        ({"tpu": {**V5E, "topology": "2x2x2"}}, "2x2x2 spans several hosts: one has up to 4"),
        ({"tpu": V5E, "accelerator": {"count": 1}}, "an accelerator or a tpu, not both"),
        (
            {"tpu": V5E, "node_selector": {"cloud.google.com/gke-tpu-topology": "1x1"}},
            "Trainer: node_selector has cloud.google.com/gke-tpu-topology: 1x1, and tpu needs 2x4",
        ),
    ],
)
def test_a_tpu_that_no_host_has_is_refused(tree: dict, trainer: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        compile_package(changed(tree, nodes={"Trainer": trainer}))


def test_with_workers_the_trainer_step_only_waits_for_pods_of_its_own(tree: dict) -> None:
    """The configuration's Trainer settings are for the pods; the step itself needs no GPU."""
    nodes = {"Trainer": {"accelerator": {"count": 2}, "node_selector": {"pool": "gpu"}}}
    workers = {"count": 4, "exchange": "/mnt/skymill/training"}
    package = compile_package(changed(tree, nodes=nodes, workers=workers))
    executors = package.spec["deploymentSpec"]["executors"]
    assert "accelerator" not in executors["exec-trainer"]["container"].get("resources", {})
    pods = package.platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    assert "nodeSelector" not in pods["exec-trainer"]
    task = package.spec["root"]["dag"]["tasks"]["trainer"]["inputs"]["parameters"]
    run_fn = task["run_fn"]["runtimeValue"]["constant"]
    assert run_fn == "pipelines.kubeflow.step.workers.run_fn"
    config = changed(tree, nodes=nodes, workers=workers)
    given = prepared_properties(config, RunInputs("f", ""))["trainer_config"]
    result = json.loads(json.loads(given)["workers"])
    assert result["step"]["accelerator"]["count"] == 2
    assert result["workers"]["count"] == 4
    with pytest.raises(ConfigError, match="Vertex AI has no JobSet"):
        vertex_job(config)


def test_vertex_has_no_tpu_of_gke(tree: dict) -> None:
    image = {"image": tree["kubeflow"]["steps"]["image"]}
    config = changed(tree, steps=image, nodes={"Trainer": {"tpu": V5E}})
    with pytest.raises(ConfigError, match="Trainer: Vertex AI has no .*tpu"):
        vertex_job(config)


def test_a_step_pulls_its_image_by_its_own_policy_over_that_of_all(tree: dict) -> None:
    nodes = {"Trainer": {"image_pull_policy": "Always"}}
    package = compile_package(changed(tree, nodes=nodes, image_pull_policy="IfNotPresent"))
    pods = package.platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    assert pods["exec-trainer"]["imagePullPolicy"] == "Always"
    assert pods["exec-ingest"]["imagePullPolicy"] == "IfNotPresent"


def test_a_path_that_is_on_no_volume_is_refused_by_name(tree: dict) -> None:
    with pytest.raises(ConfigError) as caught:
        compile_package(changed(tree, steps={"image": tree["kubeflow"]["steps"]["image"]}))
    text = str(caught.value)
    assert "push.model_dir: /mnt/skymill/models is on no volume of Push" in text
    assert "schema.home: /mnt/skymill/schema.pbtxt is on no volume of Prepare" in text
    assert "s3://" not in text


FLINK = ["--runner=FlinkRunner", "--environment_type=EXTERNAL"]


def test_a_search_is_a_step_that_feeds_the_trainer(tree: dict) -> None:
    tune = {"space": {"learning_rate": {"min": 1e-4, "max": 1e-2}}}
    package = compile_package(parse_config({**tree, "tune": tune}, "/"))
    tasks = package.spec["root"]["dag"]["tasks"]
    assert set(tasks) - {"tuner"} == set(
        compile_package(parse_config(tree, "/")).spec["root"]["dag"]["tasks"]
    )
    edge = {"producerTask": "tuner", "outputArtifactKey": "best_hyperparameters"}
    given = tasks["trainer"]["inputs"]["artifacts"]["hyperparameters"]
    assert given == {"taskOutputArtifact": edge}
    assert {"ingest", "schema", "prepare", "stop-on-anomalies"} <= set(
        tasks["tuner"]["dependentTasks"]
    )
    # What the search depends on is known when the run starts, as for the Trainer.
    parameters = tasks["tuner"]["inputs"]["parameters"]
    assert parameters["custom_config"] == {
        "taskOutputParameter": {"producerTask": "prepare", "outputParameterKey": "tuner_config"}
    }
    assert tasks["tuner"]["cachingOptions"] == tasks["trainer"]["cachingOptions"]


def test_paths_of_a_search_have_to_be_mounted(tree: dict) -> None:
    space = {"learning_rate": {"min": 1e-4, "max": 1e-2}}
    tune = {"space": space, "workers": {"exchange": "/else/where"}}
    with pytest.raises(ConfigError, match=r"tune\.workers\.exchange: /else/where is on no volume"):
        compile_package(parse_config({**tree, "tune": tune}, "/"))


def test_workers_elsewhere_need_a_folder_that_both_see(tree: dict) -> None:
    with pytest.raises(ConfigError, match=r"beam\.exchange: is missing"):
        compile_package(parse_config({**tree, "beam": {"args": FLINK}}, "/"))
    with pytest.raises(ConfigError, match="/else/where is on no volume of Ingest"):
        compile_package(
            parse_config({**tree, "beam": {"args": FLINK, "exchange": "/else/where"}}, "/")
        )
    beam = {"args": FLINK, "exchange": "/mnt/skymill/beam"}
    spec = compile_package(parse_config({**tree, "beam": beam}, "/")).spec
    args = spec["deploymentSpec"]["executors"]["exec-ingest"]["container"]["args"]
    assert args[-5:] == ["--exchange", "/mnt/skymill/beam", "--", *FLINK]


def test_a_node_that_is_not_there_is_refused_with_the_nearest(tree: dict) -> None:
    with pytest.raises(ConfigError, match="Did you mean Trainer"):
        compile_package(changed(tree, nodes={"Trianer": {"cpu_limit": "1"}}))


def test_an_unknown_field_does_not_pass_the_round_trip(spec: dict) -> None:
    wrong = copy.deepcopy(spec)
    wrong["components"]["comp-ingest"]["lifecycle"] = {}
    with pytest.raises(ValueError, match="lifecycle"):
        strict_spec(wrong)


def vertex_config(tree: dict, **kubeflow: object) -> PipelineConfig:
    only_kubernetes = {"volumes", "secret_variables", "timeout_s"}
    steps = {k: v for k, v in tree["kubeflow"]["steps"].items() if k not in only_kubernetes}
    trainer = {"accelerator": tree["kubeflow"]["nodes"]["Trainer"]["accelerator"]}
    return parse_config(
        {
            **tree,
            "schema": {"home": "gs://bucket/schema.pbtxt"},
            "push": {"model_dir": "/gcs/bucket/models"},
            "kubeflow": {
                "pipeline_root": "gs://bucket/runs",
                "steps": steps,
                "nodes": {"Trainer": trainer},
                **kubeflow,
            },
        },
        "/",
    )


def test_vertex_gets_the_same_steps_in_its_own_units(tree: dict) -> None:
    config = vertex_config(tree)
    job = json.loads(json.dumps(vertex_job(config)))
    assert job["runtimeConfig"]["gcsOutputDirectory"] == "gs://bucket/runs"
    executors = job["pipelineSpec"]["deploymentSpec"]["executors"]
    assert len(executors) == 17
    assert executors["exec-trainer"]["container"]["resources"] == {
        "cpuRequest": 0.5,
        "cpuLimit": 2.0,
        "memoryRequest": pytest.approx(2.147483648),
        "memoryLimit": pytest.approx(4.294967296),
        "accelerator": {"type": "NVIDIA_L4", "count": "1"},
    }
    with pytest.raises(ConfigError, match="volumes"):
        vertex_job(changed(tree, pipeline_root="gs://bucket/runs"))


@pytest.mark.parametrize(
    ("kubeflow", "words"),
    [
        ({"pipeline_root": None}, "kubeflow.pipeline_root '': .* gs://bucket/folder"),
        ({"pipeline_root": "s3://bucket/runs"}, "kubeflow.pipeline_root 's3://bucket/runs'"),
        ({"pipeline_root": "gs://Bucket Name/runs"}, "kubeflow.pipeline_root 'gs://Bucket Name"),
        ({"pipeline_root": "gs://a..bucket/runs"}, "kubeflow.pipeline_root 'gs://a..bucket"),
        ({"pipeline_root": f"gs://{'b' * 64}/runs"}, "kubeflow.pipeline_root 'gs://bbb"),
        (
            {"nodes": {"Trainer": {"accelerator": {"vertex_type": "L4", "count": 3}}}},
            "exec-trainer: accelerator.vertex_type 'L4': such as NVIDIA_L4\n.*count 3: it is one",
        ),
        (
            {"nodes": {"Trainer": {"cpu_request": "4", "cpu_limit": "2"}}},
            "exec-trainer: cpu_request 4 is more than cpu_limit 2",
        ),
    ],
)
def test_what_vertex_would_refuse_is_reported_when_the_job_is_written(
    tree: dict, kubeflow: dict, words: str
) -> None:
    with pytest.raises(ConfigError, match=words):
        vertex_job(vertex_config(tree, **kubeflow))


def test_names_that_vertex_does_not_take_are_named(tree: dict) -> None:
    job = vertex_job(vertex_config(tree))
    require_vertex_names(job)
    spec = job["pipelineSpec"]
    spec["pipelineInfo"]["name"] = "9-lives"
    spec["root"]["dag"]["tasks"]["Train_It"] = {}
    spec["root"]["inputDefinitions"]["parameters"]["not-so"] = {}
    job["displayName"] = "x" * 129
    with pytest.raises(ConfigError) as raised:
        require_vertex_names(job)
    for name in ("'9-lives'", "'Train_It'", "'not-so'", "'xxx"):
        assert name in str(raised.value)


@pytest.mark.parametrize("place", [("displayname",), ("runtimeConfig", "gcsOutputDir")])
def test_a_job_with_a_field_that_vertex_does_not_know_is_refused(tree: dict, place: tuple) -> None:
    job = vertex_job(vertex_config(tree))
    *above, name = place
    inner = job
    for key in above:
        inner = inner[key]
    inner[name] = "x"
    with pytest.raises(ValueError, match=name):
        strict_job(job)


@pytest.mark.slow
def test_the_client_of_vertex_takes_the_job(tree: dict, tmp_path: Path) -> None:
    """Vertex AI's own library makes the request of it that it would send."""
    from google.auth.credentials import AnonymousCredentials
    from google.cloud import aiplatform

    path = tmp_path / "job.json"
    path.write_text(json.dumps(vertex_job(vertex_config(tree))))
    job = aiplatform.PipelineJob(
        display_name="land cover",
        template_path=str(path),
        project="project",
        location="europe-west4",
        credentials=AnonymousCredentials(),
    )
    assert re.fullmatch("land-cover-[0-9]{14}", job.job_id)


def test_a_search_with_workers_is_not_for_vertex(tree: dict) -> None:
    tune = {
        "space": {"learning_rate": {"min": 1e-4, "max": 1e-2}},
        "workers": {"exchange": "/gcs/bucket/search"},
    }
    config = vertex_config(tree)
    config = config.model_validate({**config.model_dump(by_alias=True), "tune": tune})
    with pytest.raises(ConfigError, match=r"tune\.workers: Vertex AI has no Service"):
        vertex_job(config)


def test_an_accelerator_that_vertex_has_no_name_for_is_not_left_out(tree: dict) -> None:
    image = tree["kubeflow"]["steps"]["image"]
    config = changed(
        {**tree, "kubeflow": {}},
        pipeline_root="gs://bucket/runs",
        steps={"image": image},
        nodes={"Trainer": {"accelerator": {"count": 1}}},
    )
    with pytest.raises(ConfigError, match=r"Trainer: Vertex AI needs accelerator.vertex_type"):
        vertex_job(config)


@pytest.mark.parametrize(("quantity", "sound"), [("500k", True), ("500Ki", True), ("500K", False)])
def test_memory_is_spelled_as_kubernetes_does(tree: dict, quantity: str, sound: bool) -> None:
    with nullcontext() if sound else pytest.raises(ConfigError, match="memory_limit"):
        changed(tree, nodes={"Ingest": {"memory_limit": quantity}})


def test_the_command_writes_the_package_or_says_what_is_missing(
    repository: Path, tmp_path: Path, text: str
) -> None:
    golden, target = str(repository / GOLDEN / "kubeflow.yaml"), tmp_path / "new" / "package.yaml"
    done = CliRunner().invoke(command, ["-c", golden, "-o", str(target)])
    assert done.exit_code == 0, done.output
    assert target.read_text() == text
    bare = tmp_path / "skymill.yaml"
    bare.write_text(
        "name: roofs\ningest: {source: {kind: folders, uri: roofs}}\npush: {model_dir: models}\n"
    )
    done = CliRunner().invoke(command, ["-c", str(bare), "-o", str(tmp_path / "none.yaml")])
    assert isinstance(done.exception, ConfigError)
    assert "kubeflow.steps.image" in str(done.exception)
    assert not (tmp_path / "none.yaml").exists()
