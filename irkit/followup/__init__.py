"""What follows an incident: action items, the report's check, the runbook's edit, the alert rule, the meeting."""
