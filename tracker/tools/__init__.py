"""Tools by name: functions that answer the calls which runs wait for."""
