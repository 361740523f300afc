"""What a bundle shows: the contract of symptoms, what they read the evidence with, and the verdict."""
