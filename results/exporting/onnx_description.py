"""Name the input and output of an ONNX file, and describe the model in its metadata."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

from results.model.files import FORMAT, BundleConfig, Preprocess

OUTPUT = "probabilities"
"""Name of the output of a classifier."""


@dataclass(frozen=True)
class OnnxDescription:
    """What an ONNX file says about itself.

    Attributes
    ----------
    input_name, output_name : str
        Names of the only input and output.
    metadata : mapping of str to str
        Entries of the file's metadata; see ``docs/exporting.md``.
    """

    input_name: str
    output_name: str = OUTPUT
    metadata: Mapping[str, str] = field(default_factory=dict)


def model_metadata(config: BundleConfig, preprocess: Preprocess, labels: Sequence[str]) -> dict[str, str]:
    """Describe a model for programs that know nothing of this project.

    Returns
    -------
    dict of str to str
        Plain text, or JSON for ``genres`` and ``preprocess``, which is the content of ``preprocess.json``.
    """
    parameters = preprocess.parameters
    return {
        "genres": json.dumps(list(labels), ensure_ascii=False),
        "reads": preprocess.reads,
        "sample_rate": str(parameters.sample_rate),
        "segment_seconds": f"{parameters.segment_seconds:g}",
        "temperature": repr(config.temperature),
        "preprocess": json.dumps(preprocess.model_dump(mode="json"), ensure_ascii=False),
        "family": config.family,
        "trial": f"{config.run}:{config.trial_id}",
        "synthetic": json.dumps(config.synthetic),
        "created": config.created,
        "export_format": str(FORMAT),
        "genre_search": version("genre-search"),
    }


def describe(path: Path, description: OnnxDescription) -> None:
    """Rename input and output of an ONNX file, name its batch axis ``n``, and set its metadata.

    Parameters
    ----------
    path : Path
        A file with one input and one output.
    description : OnnxDescription
        The names and the metadata.
    """
    import onnx
    from onnx import helper

    model = onnx.load(path)
    graph = model.graph
    new_names = {graph.input[0].name: description.input_name, graph.output[0].name: description.output_name}
    for tensor in (*graph.input, *graph.output, *graph.value_info):
        tensor.name = new_names.get(tensor.name, tensor.name)
    for node in graph.node:
        node.input[:] = [new_names.get(name, name) for name in node.input]
        node.output[:] = [new_names.get(name, name) for name in node.output]
    for tensor in (graph.input[0], graph.output[0]):
        axes = tensor.type.tensor_type.shape.dim
        if axes and not axes[0].HasField("dim_value"):
            axes[0].dim_param = "n"
    helper.set_model_props(model, dict(description.metadata))
    onnx.checker.check_model(model)
    onnx.save(model, path)
