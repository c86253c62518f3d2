"""Clock, scheduler, jobs, threads and log fields that the other packages share."""
