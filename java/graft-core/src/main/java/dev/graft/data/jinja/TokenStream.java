package dev.graft.data.jinja;

import dev.graft.data.jinja.Token.Kind;
import java.util.List;

/** The tokens of a template, read one after the other. */
final class TokenStream {
    private final List<Token> tokens;
    private int next;

    TokenStream(List<Token> tokens) {
        this.tokens = tokens;
    }

    Token peek() {
        return tokens.get(next);
    }

    Token peekSecond() {
        return tokens.get(Math.min(next + 1, tokens.size() - 1));
    }

    Token next() {
        Token token = tokens.get(next);
        if (token.kind() != Kind.END) {
            next++;
        }
        return token;
    }

    boolean acceptOperator(String operator) {
        return accept(Kind.OPERATOR, operator);
    }

    boolean acceptName(String name) {
        return accept(Kind.NAME, name);
    }

    private boolean accept(Kind kind, String text) {
        if (peek().is(kind, text)) {
            next++;
            return true;
        }
        return false;
    }

    void expectOperator(String operator) {
        if (!acceptOperator(operator)) {
            throw unexpected("'" + operator + "'");
        }
    }

    void expectName(String name) {
        if (!acceptName(name)) {
            throw unexpected("'" + name + "'");
        }
    }

    Token expect(Kind kind, String wanted) {
        if (peek().kind() != kind) {
            throw unexpected(wanted);
        }
        return next();
    }

    String expectIdentifier() {
        return expect(Kind.NAME, "a name").text();
    }

    JinjaException unexpected(String wanted) {
        return JinjaException.at(peek().line(), "expected " + wanted + ", found " + peek());
    }
}
