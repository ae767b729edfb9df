"""What proofs and tests stand on: worlds of real data, the endpoint as a process, traffic,
damage.
"""
