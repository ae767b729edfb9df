"""The ML Test Score of a version (Breck et al., 2017, "The ML Test Score: A Rubric for ML
Production Readiness and Technical Debt Reduction"), computed from what was recorded of it.
"""
