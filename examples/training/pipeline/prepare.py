"""Writes the breast cancer data that scikit-learn ships as a table: 30 features and the label."""

import numpy as np
from sklearn.datasets import load_breast_cancer

features, labels = load_breast_cancer(return_X_y=True)
np.savetxt("data.csv", np.column_stack([features, labels]), fmt="%.6g", delimiter=",")
