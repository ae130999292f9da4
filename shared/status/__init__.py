"""What `/status` and the commands `status` tell an operator of a process and of all queues. Counts, ages and codes; never anything personal."""
