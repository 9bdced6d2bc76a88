import json

import pytest

from components.raster.errors import ConfigError
from trainer.distribution.cluster import Cluster, ClusterEnvironment, parse_tf_config


def tf_config(task, **cluster):
    return json.dumps({"cluster": cluster, "task": task})


def test_a_worker_knows_its_place():
    text = tf_config({"type": "worker", "index": 1}, worker=["a:1", "b:2", "c:3"])
    assert parse_tf_config(text) == Cluster(("a:1", "b:2", "c:3"), 1)
    assert not parse_tf_config(text).is_chief


def test_a_chief_job_comes_before_the_workers():
    jobs = {"worker": ["b:2", "c:3"], "chief": ["a:1"]}
    chief = parse_tf_config(tf_config({"type": "chief", "index": 0}, **jobs))
    last = parse_tf_config(tf_config({"type": "worker", "index": 1}, **jobs))
    assert chief == Cluster(("a:1", "b:2", "c:3"), 0)
    assert chief.is_chief
    assert last == Cluster(("a:1", "b:2", "c:3"), 2)


def test_one_worker_is_no_cluster():
    assert parse_tf_config(tf_config({"type": "worker", "index": 0}, worker=["a:1"])) is None
    assert ClusterEnvironment.of({}) == ClusterEnvironment()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{", "it is not JSON"),
        ("[1]", r"it is \[1\]"),
        (tf_config({"type": "worker", "index": 2}, worker=["a:1", "b:2"]), "it names 2 of them"),
        (tf_config({"type": "worker", "index": "0"}, worker=["a:1", "b:2"]), "worker '0'"),
        (tf_config({"type": "ps", "index": 0}, worker=["a:1", "b:2"]), "of type 'ps'"),
        (tf_config({"type": "worker", "index": 0}, worker=["a:1", "b:2"], ps=["c:3"]), "job ps"),
        (tf_config({"type": "worker", "index": 0}, worker=["a:1", "a:1"]), "it names a:1 twice"),
        (tf_config({"type": "worker", "index": 0}, worker=["a", "b:2"]), "host:port"),
        (tf_config({"type": "worker", "index": 0}, worker="a:1"), "host:port"),
        (tf_config(None, worker=["a:1", "b:2"]), "does not name the task of this process"),
    ],
)
def test_what_cannot_be_is_reported_with_what_would_be_right(text, why):
    with pytest.raises(ConfigError, match=why) as message:
        parse_tf_config(text)
    assert '"task": {"type": "worker", "index": 0}' in str(message.value)
