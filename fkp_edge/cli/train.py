"""`fkp-edge train`: trains a recipe."""

from __future__ import annotations

from argparse import Namespace

from fkp_edge.library.making import train as train_recipe

__all__ = ["train"]


def train(args: Namespace) -> int:
    """Trains, or goes on, and prints the accuracy on the validation faces."""
    result = train_recipe(
        args.recipe,
        data=args.data,
        out=args.out,
        start=args.start,
        trust_code=args.trust_model_code,
        resume=args.resume,
    )
    for name, figures in result.validation.items():
        if "recall_percent" in figures:
            print(f"{name}: {figures['recall_percent']:.1f} % of {figures['faces']} faces proposed")
            continue
        errors = f"RMSE {figures['rmse_px']:.2f} px, MAE {figures['mae_px']:.2f} px"
        print(f"{name}: NME {figures['nme_percent']:.2f} % on {figures['faces']} faces, {errors}")
    print(result.model)
    return 0
