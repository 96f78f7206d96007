"""Who runs due jobs. The job table is the truth; a dispatcher only wakes `run_due`."""
