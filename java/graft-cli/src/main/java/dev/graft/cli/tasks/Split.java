package dev.graft.cli.tasks;

/** What a task may be used for; a task belongs to one split only. */
public enum Split {
    /** To learn from how tasks of its kind are learnt. */
    TRAIN,
    /** To judge by: one of four tasks. */
    TEST
}
