package dev.graft.cli.world;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.json.JsonMapper;
import dev.graft.data.Example;
import dev.graft.data.Tokenizer;

/**
 * A prompt and the one right answer to it.
 *
 * @param completion the answer; begins with a space, as text does that goes on after a colon
 */
public record Exercise(String prompt, String completion) {
    private static final JsonMapper JSON = new JsonMapper();

    /** The exercise as one line of a data file. */
    public String toJsonLine() {
        try {
            return JSON.writeValueAsString(this);
        } catch (JsonProcessingException e) {
            throw new IllegalStateException("two strings are always writable", e);
        }
    }

    /** The row to train on: what reading {@link #toJsonLine} from a data file gives, the prompt masked. */
    public Example toRow(Tokenizer tokenizer) {
        return Example.ofCompletion(tokenizer, prompt, completion);
    }

    /** Whether an answer is the right one, white space around it aside. */
    public boolean isAnsweredBy(String answer) {
        return answer.strip().equals(completion.strip());
    }
}
