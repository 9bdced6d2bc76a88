"""Devices assigned to each worker, and a trial that kills its workers."""

from pathlib import Path

from keras_tuner.src.protos import get_service

from trainer.training.config import TrainConfig
from trainer.tune.chief import RecordingService
from trainer.tune.config import TuneConfig
from trainer.tune.objective import TrialObjective
from trainer.tune.oracle import make_oracle
from trainer.tune.processes import device_shares
from trainer.tune.search import SearchPaths


def test_threads_are_divided_and_what_the_user_set_stays(monkeypatch):
    for name in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
        monkeypatch.delenv(name, raising=False)
    assert [set(share.values()) for share in device_shares(3, 8, ())] == [{"2"}] * 3
    assert set(device_shares(4, 2, ())[0].values()) == {"1"}
    assert device_shares(1, 8, ()) == ({},), "one has all"
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    assert device_shares(2, 8, ())[0]["OMP_NUM_THREADS"] == "7"
    assert device_shares(2, 8, ())[0]["TF_NUM_INTRAOP_THREADS"] == "4"


def test_gpus_are_divided_where_there_is_one_for_each_and_else_shared():
    visible = [share["CUDA_VISIBLE_DEVICES"] for share in device_shares(2, 8, ("0", "1", "3", "5"))]
    assert visible == ["0,1", "3,5"]
    shares = device_shares(3, 8, ("0", "2"))
    assert [share["CUDA_VISIBLE_DEVICES"] for share in shares] == ["0", "2", "0"]
    assert all(share["TF_FORCE_GPU_ALLOW_GROWTH"] == "true" for share in shares)


def desk_of(folder):
    """The oracle of a search in a folder, and a service that gives out its trials."""
    space = {"optimizer": {"values": ["adam", "sgd"]}}
    tune = TuneConfig.model_validate({"space": space})
    oracle = make_oracle(tune, TrainConfig(), TrialObjective("val_loss", "min"))
    oracle.verbose = 0
    oracle._set_project_dir(str(folder), "search")
    return oracle, RecordingService(oracle, SearchPaths(str(folder), "search"))


def ask(service):
    """The trial that a worker is given."""
    request = get_service().CreateTrialRequest(tuner_id="worker-0")
    return service.CreateTrial(request, None).trial.trial_id


def test_a_trial_is_given_out_twice_and_then_given_up(tmp_path):
    oracle, service = desk_of(tmp_path)
    given = [ask(service) for _ in range(3)]
    assert given[0] == given[1] != given[2]
    assert oracle.trials[given[0]].status == "FAILED"
    assert "lack of memory" in oracle.trials[given[0]].message
    assert oracle.trials[given[2]].status == "RUNNING"


def test_a_trial_whose_worker_was_asked_to_stop_is_not_given_up(tmp_path):
    oracle, service = desk_of(tmp_path)
    given = [ask(service)]
    for _ in range(4):
        Path(SearchPaths(str(tmp_path), "search").given_back(given[0])).touch()
        given.append(ask(service))
    assert set(given) == {given[0]}
    assert oracle.trials[given[0]].status == "RUNNING"
    assert ask(service) == given[0], "a death counts"
    assert ask(service) != given[0]
