"""What stands in front of a scikit-learn estimator: the matrix of `FeatureTransform`, made complete
and comparable.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from include.features.transform import FeatureTransform


def preparation(transform: FeatureTransform) -> Any:
    """A `ColumnTransformer`: medians for missing numbers, which are then standardised, and one
    column per category.

    It takes float32 of shape (rows, inputs), NaN = missing, categories as codes; a code that the
    fit did not see gives zeros.
    """
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    categories = [position for position, kind in enumerate(transform.feature_types) if kind == "c"]
    numbers = [position for position, kind in enumerate(transform.feature_types) if kind != "c"]
    return ColumnTransformer(
        [
            (
                "numbers",
                make_pipeline(
                    SimpleImputer(strategy="median", keep_empty_features=True), StandardScaler()
                ),
                numbers,
            ),
            (
                "categories",
                OneHotEncoder(handle_unknown="ignore", sparse_output=False, dtype=np.float32),
                categories,
            ),
        ]
    )
