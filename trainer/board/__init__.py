"""What a person looks at after a training: examples with their answers, and what is confused."""
