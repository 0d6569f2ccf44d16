"""MLflow: a run in the experiment robustbench-nlp of a tracking server or database, mlflow:URI."""

from __future__ import annotations

from dataclasses import dataclass

from robustbench_nlp.errors import UsageError
from robustbench_nlp.tracking import Told

__all__ = ["MLflow"]

EXPERIMENT = "robustbench-nlp"
LONGEST = 6000
"""Characters of a parameter, by MLflow's limit."""


@dataclass(frozen=True)
class MLflow:
    """Logs settings as parameters, rates as metrics, curves as metrics whose step is the queries spent, and the run's files."""

    uri: str

    def log(self, run: Told) -> str:
        try:
            from mlflow import MlflowClient
            from mlflow.entities import Metric, Param
            from mlflow.exceptions import MlflowException
        except ImportError as problem:
            raise UsageError("MLflow is missing; pip install 'robustbench-nlp[mlflow]'") from problem
        try:
            client = MlflowClient(tracking_uri=self.uri)
            known = client.get_experiment_by_name(EXPERIMENT)
            experiment = known.experiment_id if known else client.create_experiment(EXPERIMENT)
            made = client.create_run(experiment, run_name=run.name).info.run_id
            metrics = [Metric(name, value, 0, 0) for name, value in run.metrics.items()]
            metrics += [Metric(name, share, 0, step) for name, points in run.curves.items() for step, share in points]
            for start in range(0, len(metrics), 1000):
                client.log_batch(made, metrics=metrics[start : start + 1000])
            client.log_batch(made, params=[Param(name, value[:LONGEST]) for name, value in run.settings.items()])
            for path in run.files:
                client.log_artifact(made, str(path))
            client.set_terminated(made)
        except MlflowException as problem:
            raise UsageError(f"MLflow refused {self.uri}: {problem}") from problem
        except ImportError as problem:  # the extra brings what talks to servers
            raise UsageError(f"MLflow needs more for {self.uri} ({problem}); pip install mlflow") from problem
        return f"run {made} in the experiment {EXPERIMENT} of {self.uri}"
