"""What every family trains with: the contract, the compiled epoch, scaling, schedules and votes."""
