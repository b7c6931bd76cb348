"""One definition of every metric, for the Trainer and the Evaluator."""
