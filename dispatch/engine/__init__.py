"""Orders, drivers, offers: the state that a service embeds."""
