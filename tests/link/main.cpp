// A whole library, linked with nothing but what it declares: that this program exists is the test.
int main() { return 0; }
