"""Clock, scheduler, threads and logging fields that the other packages share."""
