"""`make refusals`: one faulty delivery, model or package after the other through the wired DAGs,
and a good one that passes.
"""
