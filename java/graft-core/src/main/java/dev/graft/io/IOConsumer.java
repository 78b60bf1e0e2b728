package dev.graft.io;

import java.io.IOException;

/** A consumer that may fail as input and output do. */
@FunctionalInterface
public interface IOConsumer<T> {
    void accept(T target) throws IOException;
}
