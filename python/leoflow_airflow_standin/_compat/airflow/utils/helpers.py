"""Functions for lists and dicts."""

from leoflow_airflow_standin.piece import at_most_one, chunks, convert_camel_to_snake, exactly_one, merge_dicts, prune_dict

__all__ = [
    "at_most_one",
    "chunks",
    "convert_camel_to_snake",
    "exactly_one",
    "merge_dicts",
    "prune_dict",
]
