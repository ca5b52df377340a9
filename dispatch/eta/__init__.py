"""How long drives really take: traffic from pings and trips, what is left of it learnt, and how sure."""
