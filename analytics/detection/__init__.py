"""What is wrong: seen in the stream and by the clock, by baselines that are learnt."""
